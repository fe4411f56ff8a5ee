"""One PostgreSQL server for the run, with a new database for each measurement, and workers."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from tests.support.postgres import lifeline
from tests.support.postgres.cluster import Cluster
from tests.support.postgres.installing import find

from .durable import MEMORY_FOLDER
from .measure import require
from .postgres_queues import ServerQueue

_PATIENCE = 60.0
_POLL = 0.02

TICK = 0.01
"""Seconds in which Linux counts CPU time."""


def is_installed() -> bool:
    return find("postgres") is not None


@cache
def _cluster() -> Cluster:
    """It ends with this process. Its settings are for a disk, so each commit is synced to it.

    But its folder is in memory if it can be, or the disk would decide most rates.
    """
    folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="stoat-jobs-", dir=folder)))
    cluster.start()
    return cluster


@contextmanager
def database(template: str | None = None) -> Iterator[str]:
    """The url of a database of its own, empty or a copy of that at *template*."""
    url = _cluster().new_database() if template is None else _copied(template)
    try:
        yield url
    finally:
        _cluster().drop_database(url)


def kept_database() -> str:
    """The url of one that lasts as long as the server."""
    return _cluster().new_database()


def _copied(template: str) -> str:
    name = urlsplit(template).path[1:]
    owner = urlsplit(template).username
    _cluster().sql(f"CREATE DATABASE {name}_copy TEMPLATE {name} OWNER {owner}")
    return urlunsplit(urlsplit(template)._replace(path=f"/{name}_copy"))


def processor_seconds(workers: list[int]) -> float:
    """The CPU time of these processes and of the server's, also of those that have ended."""
    processes = [*workers, *lifeline.processes_in(_cluster().folder)]
    return sum(sum(_ticks(process)) for process in processes) * TICK


def _ticks(process: int) -> list[int]:
    """Of a process and of its children that have ended."""
    with suppress(OSError):
        _, _, fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")
        return [int(field) for field in fields.split()[11:15]]
    return []


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await import_module("asyncpg").connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def drained(url: str, queue: ServerQueue) -> None:
    """Wait until all jobs have finished in the tables, too; end the run if they do not."""
    left = -1
    async with connected(url) as connection:
        for _ in range(round(_PATIENCE / _POLL)):
            if not (left := await connection.fetchval(queue.live)):
                return
            await asyncio.sleep(_POLL)
    require(left, 0, f"jobs of {queue.name} that have not finished")


class Workers:
    """Worker processes of a queue; each *every* th call of a process counts."""

    def __init__(self, queue: ServerQueue, url: str, every: int = 1) -> None:
        self.every = every
        self.told: list[int] = []
        self._command = [sys.executable, "-m", "benchmarks.postgres_worker", queue.name, url]
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for number, process in enumerate(self._processes):
            if process.returncode is None:
                self.send(signal.SIGKILL, number)
        await asyncio.gather(*self._readers, *(process.wait() for process in self._processes))

    async def add(self, count: int = 1) -> None:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                *self._command, str(self.every), stdout=asyncio.subprocess.PIPE
            )
            self._processes.append(process)
            self._readers.append(asyncio.ensure_future(self._count(process, len(self.told))))
            self.told.append(0)

    async def _count(self, process: asyncio.subprocess.Process, number: int) -> None:
        assert process.stdout is not None
        while read := await process.stdout.read(2**16):
            self.told[number] += len(read)
            self._changed.set()

    def send(self, signum: signal.Signals, *numbers: int) -> None:
        """To these processes, by default to all."""
        for number in numbers or range(len(self._processes)):
            self._processes[number].send_signal(signum)

    @property
    def ids(self) -> list[int]:
        return [process.pid for process in self._processes]

    @property
    def calls(self) -> int:
        """How many were told of; for each process, up to *every* more have been."""
        return sum(self.told) * self.every

    async def reach(self, calls: int) -> None:
        """Wait for so many calls in all."""
        async with asyncio.timeout(_PATIENCE):
            while self.calls < calls:
                self._changed.clear()
                await self._changed.wait()

    async def reach_alone(self, number: int, told: int) -> None:
        """Wait until this process has told of so many."""
        async with asyncio.timeout(_PATIENCE):
            while self.told[number] < told:
                self._changed.clear()
                await self._changed.wait()
