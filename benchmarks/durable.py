"""The `sqlite` backend: how fast it accepts jobs, what it costs the event loop, and its start.

A submission waits for the disk, so rates are compared by the clock. Nothing runs meanwhile, as the
only slot is in use. The peers sync each job to the disk as `sqlite` does: SqliteHuey by itself, and
litequeue when it is told to. Each of their jobs is a commit of its own, whoever submits it.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobBackend, JobContext, JobHandlers, JobQueueSettings
from stoat_jobs._sqlite.path import path_of
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import JobStore, StoredJob
from stoat_jobs.sqlite import SqliteJobQueue

from . import contenders
from .contenders import Contender
from .measure import Bench, Figure, Round, Size, Stopwatch, require

CALLERS = 100
BATCH = 1_000
HUEY, LITEQUEUE = "SqliteHuey, one by one", "litequeue, synchronous=FULL, one by one"
ONE_BY_ONE = "sqlite, one by one"
BY_CALLERS = "sqlite, by 100 callers"
BY_BATCHES = "sqlite, submit_many of 1,000"
QUICK_COMMITS = "sqlite, by 100 callers, 1 ms a commit, no disk"

MS = "ms of the clock"
RATE, COMMIT_S = 500, 0.05
HOLD = "hold of the loop, 99.9th percentile, 500 submits/s, 50 ms a commit"
EMPTY_HOLD = "hold of the loop, 99.9th percentile, empty loop"
TICK_S = 0.001

MOST = 10**7
MEMORY_FOLDER = Path("/dev/shm")

Submit = Callable[[JobBackend, int], Awaitable[None]]
Make = Callable[[JobHandlers, JobQueueSettings], JobBackend]


class SlowStore(SqliteStore):
    """One whose commits take at least so many seconds."""

    commit_s = 0.0

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        time.sleep(self.commit_s)
        super().write(new, changed, gone)


class SlowQueue(SqliteJobQueue):
    """With such a store."""

    commit_s = COMMIT_S

    def make_store(self) -> JobStore:
        store = SlowStore(path_of(self.name, self.settings.url))
        store.commit_s = self.commit_s
        return store


class QuickQueue(SlowQueue):
    """On a quick disk."""

    commit_s = 0.001


@contextmanager
def quiet() -> Iterator[None]:
    """No log line for each job that the shutdown stops."""
    logger = logging.getLogger("stoat_jobs")
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)


@asynccontextmanager
async def occupied(make: Make, folder: Path | None = None) -> AsyncIterator[JobBackend]:
    """A queue whose only slot is in use, with a file in a new folder, in *folder* if given."""
    handlers = JobHandlers()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as new, quiet():
        settings = JobQueueSettings(url=f"{new}/jobs.db", max_pending=MOST, drain_timeout=0)
        async with make(handlers, settings) as queue:
            await queue.submit("held")
            yield queue


async def submits(
    jobs: int, watch: Stopwatch, make: Make, submit: Submit, folder: Path | None = None
) -> int:
    async with occupied(make, folder) as queue:
        before = await _jobs(queue)
        with watch:
            await submit(queue, jobs)
        return await _jobs(queue) - before


async def _jobs(queue: JobBackend) -> int:
    return sum((await queue.stats()).by_status.values())


async def one_by_one(queue: JobBackend, jobs: int) -> None:
    for _ in range(jobs):
        await queue.submit("held")


async def by_callers(queue: JobBackend, jobs: int) -> None:
    await asyncio.gather(*(one_by_one(queue, jobs // CALLERS) for _ in range(CALLERS)))


async def by_batches(queue: JobBackend, jobs: int) -> None:
    for begin in range(0, jobs, BATCH):
        await queue.submit_many("held", [{}] * min(BATCH, jobs - begin))


async def huey(jobs: int, watch: Stopwatch) -> int:
    module = import_module("huey")
    with tempfile.TemporaryDirectory() as folder:
        queue = module.SqliteHuey(filename=f"{folder}/huey.db")
        require(queue.storage.conn.execute("pragma synchronous").fetchone(), (2,), "synchronous")
        task = queue.task()(len)
        with watch:
            for _ in range(jobs):
                task(())
        found: int = queue.pending_count()
        queue.storage.close()
    return found


async def litequeue(jobs: int, watch: Stopwatch) -> int:
    module = import_module("litequeue")
    with tempfile.TemporaryDirectory() as folder:
        queue = module.LiteQueue(f"{folder}/litequeue.db")
        queue.conn.execute("pragma synchronous = full")
        with watch:
            for _ in range(jobs):
                queue.put("{}")
        found: int = queue.qsize()
        queue.close()
    return found


def _ours(name: str, submit: Submit, share: float, make: Make = SqliteJobQueue) -> Contender:
    return Contender(name, partial(submits, make=make, submit=submit), HUEY, share)


def _memory_folder() -> Path | None:
    return MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None


CONTENDERS = (
    Contender(HUEY, huey, HUEY, 0.05, "huey"),
    Contender(LITEQUEUE, litequeue, HUEY, 0.05, "litequeue"),
    _ours(ONE_BY_ONE, one_by_one, 0.05),
    _ours(BY_CALLERS, by_callers, 1),
    _ours(BY_BATCHES, by_batches, 1),
    Contender(
        QUICK_COMMITS,
        partial(submits, make=QuickQueue, submit=by_callers, folder=_memory_folder()),
        HUEY,
    ),
    _ours("asyncio, one by one", one_by_one, 1, AsyncioJobQueue),
    _ours("asyncio, by 100 callers", by_callers, 1, AsyncioJobQueue),
    _ours("asyncio, submit_many of 1,000", by_batches, 1, AsyncioJobQueue),
)


def benches(size: Size) -> list[Bench]:
    return [
        *contenders.benches(CONTENDERS, size),
        Bench((HOLD,), lambda: _hold(HOLD, _held_by_submits(size.samples))),
        Bench((EMPTY_HOLD,), lambda: _hold(EMPTY_HOLD, late(size.samples))),
    ]


def _hold(name: str, measured: Any) -> Round:
    found = asyncio.run(measured)
    return {Figure(name, MS): statistics.quantiles(found, n=1_000)[998] * 1e3}


async def late(samples: int) -> list[float]:
    """By how many seconds a timer was late, each time."""
    found = []
    for _ in range(samples):
        begun = time.perf_counter()
        await asyncio.sleep(TICK_S)
        found.append(time.perf_counter() - begun - TICK_S)
    return found


async def _held_by_submits(samples: int) -> list[float]:
    """While jobs are submitted and run, on a slow disk."""
    handlers = JobHandlers()

    @handlers.job
    async def quick(ctx: JobContext) -> None: ...

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, quiet():
        settings = JobQueueSettings(url=f"{folder}/jobs.db", concurrency=CALLERS)
        async with SlowQueue(handlers, settings) as queue:
            stop = asyncio.Event()
            submitting = asyncio.ensure_future(_submit_at_rate(queue, stop))
            found = await late(samples)
            stop.set()
            accepted = await submitting
            require(await _jobs(queue), accepted, "jobs accepted")
    return found


async def _submit_at_rate(queue: JobBackend, stop: asyncio.Event) -> int:
    """How many were accepted until *stop*."""
    accepted, due = 0, time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        while not stop.is_set():
            tasks.create_task(queue.submit("quick"))
            accepted, due = accepted + 1, due + 1 / RATE
            await asyncio.sleep(max(0, due - time.perf_counter()))
    return accepted
