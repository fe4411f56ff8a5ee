"""The peers that run coroutines in the event loop.

Each is imported where it is used, so that type checks do not need any of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

from .measure import Stopwatch


class Tally:
    """Counts jobs that have run; ``done`` is set when all have."""

    def __init__(self, jobs: int) -> None:
        self.ran = 0
        self.done = asyncio.Event()
        self._jobs = jobs

    def add(self) -> None:
        self.ran += 1
        if self.ran == self._jobs:
            self.done.set()

    async def job(self) -> None:
        self.add()


async def aiojobs(jobs: int, watch: Stopwatch, limit: int | None) -> int:
    """aiojobs has no ids, status, results or deadlines, so nothing is read."""
    module = import_module("aiojobs")
    tally = Tally(jobs)
    async with module.Scheduler(limit=limit, pending_limit=jobs) as scheduler:
        with watch:
            for _ in range(jobs):
                await scheduler.spawn(tally.job())
            await tally.done.wait()
    return tally.ran


async def aiojobs_results(jobs: int, watch: Stopwatch) -> int:
    """The same, but each job's handle is awaited, which is closest to reading a result."""
    module = import_module("aiojobs")
    tally = Tally(jobs)
    async with module.Scheduler(limit=None, pending_limit=jobs) as scheduler:
        with watch:
            handles = [await scheduler.spawn(tally.job()) for _ in range(jobs)]
            for handle in handles:
                await handle.wait()
    return tally.ran


def _noop_of(tally: Tally) -> Callable[[], Coroutine[Any, Any, None]]:
    async def noop() -> None:
        tally.add()

    return noop


async def taskiq(jobs: int, watch: Stopwatch, *, inplace: bool) -> int:
    """Without type casts, and all results are kept; *inplace* runs the job in its submit."""
    module = import_module("taskiq")
    tally = Tally(jobs)
    broker = module.InMemoryBroker(
        max_stored_results=-1, cast_types=False, max_async_tasks=100, await_inplace=inplace
    )
    task = broker.task(_noop_of(tally))
    await broker.startup()
    with watch:
        ids = [(await task.kiq()).task_id for _ in range(jobs)]
        await broker.wait_all()
        ended = [await broker.result_backend.get_result(task_id) for task_id in ids]
    await broker.shutdown()
    return min(tally.ran, sum(not result.is_err for result in ended))


async def apscheduler(jobs: int, watch: Stopwatch) -> int:
    """Jobs without a trigger run at once; APScheduler keeps no results."""
    module = import_module("apscheduler.schedulers.asyncio")
    quiet = logging.getLogger("apscheduler")
    quiet.setLevel(logging.ERROR)
    scheduler = module.AsyncIOScheduler(logger=quiet, job_defaults={"misfire_grace_time": None})
    tally = Tally(jobs)
    scheduler.start()
    with watch:
        for _ in range(jobs):
            scheduler.add_job(tally.job)
        await tally.done.wait()
    left = len(scheduler.get_jobs())
    scheduler.shutdown()
    await asyncio.sleep(0)
    return tally.ran - left


async def starlette(jobs: int, watch: Stopwatch) -> int:
    """The background tasks of one request, which run one after another; nothing is kept."""
    module = import_module("starlette.background")
    tally = Tally(jobs)
    tasks = module.BackgroundTasks()
    with watch:
        for _ in range(jobs):
            tasks.add_task(tally.job)
        await tasks()
    return tally.ran
