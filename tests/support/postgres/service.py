"""A program that serves on a port of its own, and never outlives the tests."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from .. import SAFETY_NET
from ..programs import unmeasured
from . import lifeline
from .installing import find


class Service:
    """A program that runs in a folder of its own, and ends with this process.

    Attributes:
        folder: where it runs and keeps all it has; removed at the end.
        port: where it listens, on 127.0.0.1.
        log: the file with what it says.
    """

    def __init__(self, folder: Path | None, port: int | None) -> None:
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="stoat-jobs-server-"))).resolve()
        self.folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self.log = self.folder / "log"
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        os.chown(self.folder, *unprivileged())
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
        self._reap()

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

    def end(self, signum: signal.Signals) -> None:
        """Send *signum* to its first process, and return when that has ended."""
        if self._process is not None and self.is_running:
            self.thaw()
            self._process.send_signal(signum)
            self._reap()

    def _spawn(self, command: list[str | Path]) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user()
            )

    def _run(self, name: str, *arguments: str) -> str:
        """Run one of its programs to its end; what it printed."""
        command: list[str | Path] = [program(name), *arguments]
        how = {**self._as_user(), "capture_output": True, "text": True, "timeout": SAFETY_NET}
        done: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **how)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr}")
        return done.stdout.rstrip("\n")

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(SAFETY_NET)

    def _write(self, name: str, text: str) -> Path:
        """A new file of its folder, which its user can read."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        os.chown(path, *unprivileged())
        return path

    def _as_user(self) -> dict[str, Any]:
        """How its programs are run: in its folder, beyond a Ctrl-C, and not as root."""
        user, group = unprivileged()
        whom = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.folder, "env": _environment(), "start_new_session": True, **whom}

    def _wait_until(self, ready: Callable[[], object]) -> None:
        """Until it is *ready*; if it ends before, or does not become so, its log says why."""
        if not lifeline.poll(lambda: ready() or not self.is_running, SAFETY_NET) or not ready():
            raise RuntimeError(f"it does not run:\n{self.log.read_text(encoding='utf-8')[-2000:]}")


def program(name: str) -> Path:
    """Where a program is that has to be here."""
    if found := find(name):
        return found
    raise RuntimeError(f"no {name}: run `nox -s services`, which installs it")


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
