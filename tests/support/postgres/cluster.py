"""A PostgreSQL server that is a test's own."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

from .service import Service, program

Mode = Literal["smart", "fast", "immediate"]

USER = "stoat"
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


class Cluster(Service):
    """A PostgreSQL server with a superuser, a role *stoat* and its database *jobs*.

    Args:
        folder: an empty one, which an unprivileged user must be able to reach; by default made.
        port: by default one that is free.
        durable: whether commits survive a power cut; without, tests are faster.
    """

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

    def url_of(self, database: str, user: str = USER) -> str:
        """The url of a *database*."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it takes connections; make it if it is new."""
        new = not self.data.exists()
        if new:
            self._make()
        self._spawn([program("postgres"), "-D", self.data])
        self._wait_until(self._is_ready)
        if new:
            self._fill()

    def stop(self, mode: Mode = "fast") -> None:
        """Stop it as ``pg_ctl`` does, and return when it has ended."""
        self.end(STOP[mode])

    def restart(self, mode: Mode = "fast") -> None:
        """Stop it and start it again."""
        self.stop(mode)
        self.start()

    def new_database(self, name: str | None = None, encoding: str = "UTF8") -> str:
        """Make an empty database that the role owns; its url."""
        name = name or f"jobs_{uuid4().hex[:12]}"
        options = f"OWNER {USER} TEMPLATE template0 ENCODING '{encoding}'"
        self.sql(f'CREATE DATABASE "{name}" {options}')
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Drop the database of *url*, whoever is connected."""
        self.sql(f'DROP DATABASE IF EXISTS "{name_in(url)}" WITH (FORCE)')

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

    def configure(self, **settings: str) -> None:
        """Add *settings* to its file; they count from its next start, or `reload`."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def reload(self) -> None:
        """Let it read its settings again."""
        self.sql("SELECT pg_reload_conf()")

    def _make(self) -> None:
        secret = self._write("password", PASSWORD)
        how = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
        self._run("initdb", *how, "--encoding=UTF8", "--locale=C", "--pgdata", str(self.data))
        self.configure(**SETTINGS, **({} if self.durable else FAST))
        self._move_in()

    def _move_in(self) -> None:
        """Name its own port and folder, where others may be named."""
        self.configure(port=str(self.port), unix_socket_directories=str(self.folder))

    def _fill(self) -> None:
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        self.new_database("jobs")


def name_in(url: str) -> str:
    """The name of the database of *url*."""
    return urlsplit(url).path[1:]
