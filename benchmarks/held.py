"""How long the event loop is held: the longest time until it goes on to other callbacks.

It is processor time of the loop's thread, so that other processes do not count.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from .measure import Bench, Figure, Round, Size, require
from .ours import idle, make_queue, submit_all

MS = "ms of the loop"
PROGRESS = "{:,} wait() for a job, one progress report"
SUBMITS = "1,000 submits in a row"
CLOSING = "closing with {:,} jobs waiting"
LISTING = "list_jobs that finds nothing in {:,} records"


def benches(size: Size) -> list[Bench]:
    return [
        _bench(PROGRESS.format(size.watchers), partial(_progress, size.watchers)),
        _bench(SUBMITS, _submits),
        _bench(CLOSING.format(size.waiting), partial(_closing, size.waiting)),
        _bench(LISTING.format(size.records), partial(_listing, size.records)),
    ]


def _bench(name: str, measure: Callable[[], Coroutine[Any, Any, float]]) -> Bench:
    def run() -> Round:
        return {Figure(name, MS): asyncio.run(measure()) * 1e3}

    return Bench((name,), run)


class Turns:
    """Watches the turns of the event loop, in seconds."""

    longest = 0.0

    async def watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            after = time.thread_time()
            self.longest = max(self.longest, after - before)
            before = after


@asynccontextmanager
async def turns() -> AsyncIterator[Turns]:
    """Watch what runs inside ``async with``; what it leaves to the loop has three more turns."""
    watched = Turns()
    gc.collect()
    task = asyncio.ensure_future(watched.watch())
    await asyncio.sleep(0)
    yield watched
    await idle()
    task.cancel()


async def _progress(waiters: int) -> float:
    """Nobody who waits for the end needs to know, so this should take no time."""
    handlers, report, end = JobHandlers(), asyncio.Event(), asyncio.Event()

    @handlers.job
    async def reporting(ctx: JobContext) -> None:
        await report.wait()
        ctx.set_progress(0.5)
        await end.wait()

    async with AsyncioJobQueue(handlers) as queue:
        job_id = await queue.submit("reporting")
        waiting = [asyncio.ensure_future(queue.wait(job_id)) for _ in range(waiters)]
        await idle()
        gc.collect()
        begun = time.thread_time()
        report.set()
        await idle()
        await idle()
        taken = time.thread_time() - begun
        require((await queue.get_result(job_id)).progress, 0.5, "progress")
        require(sum(task.done() for task in waiting), 0, "waiters that went early")
        end.set()
        records = await asyncio.gather(*waiting)
    require(sum(r.status is JobStatus.COMPLETED for r in records), waiters, "waiters told")
    return taken


async def _submits() -> float:
    async with make_queue(100) as queue:
        async with turns() as watched:
            ids = await submit_all(queue, 1_000)
        records = [await queue.get_result(job_id) for job_id in ids]
    require(sum(r.status is JobStatus.COMPLETED for r in records), 1_000, "completed jobs")
    return watched.longest


async def _closing(waiting: int) -> float:
    handlers, log = JobHandlers(), logging.getLogger("stoat_jobs")

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    settings = JobQueueSettings(max_pending=waiting + 1, max_results=waiting + 1, drain_timeout=0)
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(AsyncioJobQueue(handlers, settings))
        ids = []
        for number in range(waiting + 1):
            ids.append(await queue.submit("held"))
            if number % 1_000 == 0:
                await asyncio.sleep(0)
        log.setLevel(logging.CRITICAL)  # no log line for each job that the shutdown stops
        async with turns() as watched:
            await stack.aclose()
        log.setLevel(logging.NOTSET)
    ended = [await queue.get_status(job_id) for job_id in ids]
    require(ended.count(JobStatus.CANCELLED), waiting + 1, "cancelled jobs")
    return watched.longest


async def _listing(records: int) -> float:
    async with make_queue(100, max_results=records) as queue:
        for _ in range(0, records, 1_000):
            await submit_all(queue, 1_000)
        require((await queue.stats()).by_status[JobStatus.COMPLETED], records, "records kept")
        async with turns() as watched:
            found = await queue.list_jobs(status=JobStatus.FAILED)
    require(len(found), 0, "failed jobs")
    return watched.longest
