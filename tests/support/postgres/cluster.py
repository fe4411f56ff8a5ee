"""A PostgreSQL server that is a test's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from uuid import uuid4

from .. import SAFETY_NET
from ..programs import unmeasured
from . import lifeline
from .installing import find

Mode = Literal["smart", "fast", "immediate"]

PASSWORD = "only-ermine-knows"
STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "log_line_prefix": "%m [%p] %u@%d ",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",  # in its folder, which is removed
    "shared_buffers": "32MB",
}
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}


class Service:
    """A program that runs in a folder of its own, and ends with this process.

    Attributes:
        folder: where it runs and keeps all it has; removed at the end.
        port: where it listens, on 127.0.0.1.
        log: the file with what it says.
    """

    def __init__(self, folder: Path | None, port: int | None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="stoat-jobs-"))
        self.folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self.log = self.folder / "log"
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        for path in (self.folder, self.log):
            os.chown(path, *unprivileged())
        program = [sys.executable, "-I", lifeline.__file__, str(self.folder)]
        self._lifeline = subprocess.Popen(
            program, stdin=subprocess.PIPE, start_new_session=True, env=unmeasured(), cwd="/"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End it at once, and remove its folder."""
        assert self._lifeline.stdin is not None
        self._lifeline.stdin.close()
        self._lifeline.wait(SAFETY_NET)
        if self._process is not None:
            self._process.wait(SAFETY_NET)

    @property
    def is_running(self) -> bool:
        """Whether its first process has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill all its processes, as a crash of the machine would."""
        lifeline.kill_all(self.folder)
        self._reap()

    def freeze(self) -> None:
        """Stop all its processes where they are; connections stay open, and nobody answers."""
        lifeline.signal_all(self.folder, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        lifeline.signal_all(self.folder, signal.SIGCONT)

    def _spawn(self, command: list[str | Path]) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user()
            )

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(SAFETY_NET)

    def _as_user(self) -> dict[str, Any]:
        """How its programs are run: in its folder, beyond a Ctrl-C, and not as root."""
        user, group = unprivileged()
        whom = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.folder, "env": _environment(), "start_new_session": True, **whom}

    def _wait_until(self, ready: Any) -> None:
        """Until it is *ready*; if it ends before, or does not become so, its log says why."""
        if not lifeline.poll(lambda: ready() or not self.is_running, SAFETY_NET) or not ready():
            raise RuntimeError(f"no service:\n{self.log.read_text(encoding='utf-8')[-2000:]}")


class Cluster(Service):
    """A PostgreSQL server with a superuser, a role *stoat* and its database *jobs*.

    Args:
        folder: an empty one, which an unprivileged user must be able to reach; by default made.
        port: by default one that is free.
        durable: whether commits survive a power cut; without, tests are faster.
    """

    user = "stoat"

    def __init__(
        self, folder: Path | None = None, port: int | None = None, *, durable: bool = True
    ) -> None:
        super().__init__(folder, port)
        self.durable = durable
        self.data = self.folder / "data"

    @property
    def url(self) -> str:
        """The database *jobs*, as the role that owns it."""
        return self.url_of("jobs")

    @property
    def admin_url(self) -> str:
        """The superuser's."""
        return self.url_of("postgres", "postgres")

    def url_of(self, database: str, user: str = user) -> str:
        """The url of a *database*."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it takes connections; make it if it is new."""
        if new := not self.data.exists():
            self._make()
        self._spawn([program("postgres"), "-D", self.data])
        self._wait_until(self._is_ready)
        if new:
            self._make_role()

    def stop(self, mode: Mode = "fast") -> None:
        """Stop it as ``pg_ctl`` does, and return when it has ended."""
        if self._process is not None and self.is_running:
            self.thaw()
            self._process.send_signal(STOP[mode])
            self._reap()

    def restart(self, mode: Mode = "fast") -> None:
        """Stop it and start it again."""
        self.stop(mode)
        self.start()

    def new_database(self, name: str | None = None, encoding: str = "UTF8") -> str:
        """Make an empty database that the role owns; its url."""
        name = name or f"jobs_{uuid4().hex[:12]}"
        options = f"OWNER {self.user} TEMPLATE template0 ENCODING '{encoding}'"
        self.sql(f'CREATE DATABASE "{name}" {options}')
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Drop the database of *url*, whoever is connected."""
        self.sql(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def sql(self, query: str, database: str = "postgres") -> str:
        """Run *query* as superuser; its rows, with tabs between columns."""
        options = ["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=\t", "--quiet"]
        url = self.url_of(database, "postgres")
        return self._run("psql", *options, "--set=ON_ERROR_STOP=1", f"--command={query}", url)

    def _is_ready(self) -> bool:
        """Whether its file says so, and is not one that a killed server left."""
        with contextlib.suppress(OSError, ValueError):
            pid, *_, state = (self.data / "postmaster.pid").read_text().split()
            return state == "ready" and self._process is not None and pid == str(self._process.pid)
        return False

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        os.chown(secret, *unprivileged())
        how = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
        self._run("initdb", *how, "--encoding=UTF8", "--locale=C", "--pgdata", str(self.data))
        self.configure(unix_socket_directories=str(self.folder), port=str(self.port), **SETTINGS)
        if not self.durable:
            self.configure(**FAST)

    def configure(self, **settings: str) -> None:
        """Add *settings* to its file; they count from its next start."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _make_role(self) -> None:
        self.sql(f"CREATE ROLE {self.user} LOGIN PASSWORD '{PASSWORD}'")
        self.new_database("jobs")

    def _run(self, name: str, *arguments: str) -> str:
        """Run one of its programs to its end; what it printed."""
        command: list[str | Path] = [program(name), *arguments]
        how = {**self._as_user(), "capture_output": True, "text": True, "timeout": SAFETY_NET}
        done: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **how)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")
        return done.stdout.rstrip("\n")


def program(name: str) -> Path:
    """Where a program of PostgreSQL is."""
    found = find(name)
    if found is None:
        raise RuntimeError(f"no {name}: install Debian's postgresql")
    return found


def unprivileged() -> tuple[int, int]:
    """The user and group to run servers as: oneself, and for root somebody else."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no other user")


def free_port() -> int:
    """A port where nobody listens, and that is nobody's for connecting.

    The system gives connections a port from 32,768 on: one of those could be taken while a
    server is down, even by the connection that tries to reach it.
    """
    while True:
        port = random.randint(15_000, 32_000)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


def _environment() -> dict[str, str]:
    """Without what tells PostgreSQL's programs about another server."""
    kept = {name: value for name, value in unmeasured().items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
