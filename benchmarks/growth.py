"""The cost of a job with more and more pending jobs or kept records: it must be flat.

With a million jobs the log may have ``loop_blocked``. The cause is the counting and the garbage
collection between two measurements, which take a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from .measure import Bench, Figure, Round, Size, Stopwatch, require
from .ours import check_completed, make_queue, submit_all

PENDING, SUBMITS, KEPT = "pending {:,}", "submits with {:,} pending", "kept {:,}"
EMPTY, FULL = "no record kept before", "kept full, 1 KB each"
_AT_ONCE = 1_000


def benches(size: Size) -> list[Bench]:
    jobs = size.jobs // 2
    return [
        Bench(
            _names((PENDING, SUBMITS), size.pending),
            lambda: asyncio.run(_pending(size.pending, jobs)),
        ),
        Bench(_names((KEPT,), size.kept), lambda: asyncio.run(_kept(size.kept, jobs))),
        Bench((EMPTY,), lambda: asyncio.run(_with_results(EMPTY, 0, jobs))),
        Bench((FULL,), lambda: asyncio.run(_with_results(FULL, size.records, jobs))),
    ]


def _names(patterns: Sequence[str], numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(pattern.format(number) for pattern in patterns for number in numbers)


class Chain:
    """Jobs for one slot, each of which submits another, so the number of pending jobs is stable."""

    def __init__(self) -> None:
        self.handlers = JobHandlers()
        self.handlers.register("link", self._link)
        self.ran: list[str] = []
        self._stop_at = 1
        self._stopped = asyncio.Event()
        self._go = asyncio.Event()

    async def _link(self, ctx: JobContext) -> None:
        self.ran.append(ctx.job_id)
        if len(self.ran) == self._stop_at:
            self._go.clear()
            self._stopped.set()
            await self._go.wait()
        await ctx.queue.submit("link")

    async def stopped(self) -> None:
        await self._stopped.wait()

    async def run(self, jobs: int) -> None:
        """Let *jobs* more jobs finish; the one after them waits."""
        self._stop_at += jobs
        self._stopped.clear()
        self._go.set()
        await self._stopped.wait()


async def _pending(sizes: Sequence[int], jobs: int) -> Round:
    chain, found, log = Chain(), dict[Figure, float](), logging.getLogger("stoat_jobs")
    settings = JobQueueSettings(max_pending=max(sizes) + jobs, drain_timeout=0)
    async with AsyncioJobQueue(chain.handlers, settings) as queue:
        await queue.submit("link")
        await chain.stopped()
        waiting = 0
        for size in sizes:
            await _add(queue, size - waiting)
            found.update(await _with_backlog(chain, queue, size, jobs))
            found.update(await _submits(queue, size, jobs))
            waiting = size + jobs
        log.setLevel(logging.CRITICAL)  # no log line for each job that the shutdown stops
    log.setLevel(logging.NOTSET)
    return found


async def _add(queue: AsyncioJobQueue, jobs: int) -> None:
    for number in range(jobs):
        await queue.submit("link")
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)  # otherwise submitting blocks the loop, which is logged


async def _with_backlog(chain: Chain, queue: AsyncioJobQueue, size: int, jobs: int) -> Round:
    watch = Stopwatch()
    with watch:
        await chain.run(jobs)
    ended = chain.ran[-jobs - 1 : -1]
    await check_completed(queue, ended, jobs, lambda result: result is None)
    stats = await queue.stats()
    require(stats.by_status[JobStatus.PENDING], size, "jobs that wait")
    return watch.rates(PENDING.format(size), jobs)


async def _submits(queue: AsyncioJobQueue, size: int, jobs: int) -> Round:
    """All in a row, so none of them starts meanwhile."""
    watch = Stopwatch()
    with watch:
        for _ in range(jobs):
            await queue.submit("link")
    stats = await queue.stats()
    require(stats.by_status[JobStatus.PENDING], size + jobs, "jobs that wait")
    return watch.rates(SUBMITS.format(size), jobs)


async def _kept(sizes: Sequence[int], jobs: int) -> Round:
    """No record is dropped here, so their number grows."""
    found: dict[Figure, float] = {}
    most = max(sizes) + len(sizes) * jobs
    async with make_queue(100, max_results=most) as queue:
        kept = 0
        for size in sizes:
            await _keep(queue, size - kept)
            found.update(await _timed(queue, KEPT.format(size), jobs))
            kept = max(kept, size) + jobs
            require(await _completed(queue), kept, "records kept")
    return found


async def _keep(queue: AsyncioJobQueue, jobs: int) -> None:
    for begin in range(0, jobs, _AT_ONCE):
        await submit_all(queue, min(_AT_ONCE, jobs - begin))


async def _timed(queue: AsyncioJobQueue, name: str, jobs: int) -> Round:
    watch = Stopwatch()
    with watch:
        ids = await submit_all(queue, jobs)
    await check_completed(queue, ids, jobs, lambda result: result is None)
    return watch.rates(name, jobs)


async def _completed(queue: AsyncioJobQueue) -> int:
    return (await queue.stats()).by_status[JobStatus.COMPLETED]


async def _with_results(name: str, kept: int, jobs: int) -> Round:
    """Each job returns 1 KB; once ``max_results`` is reached, each one drops the oldest record."""
    handlers = JobHandlers()

    @handlers.job
    async def kilobyte(ctx: JobContext) -> str:
        return ctx.job_id.ljust(1_000)

    settings = JobQueueSettings(concurrency=100, max_results=max(kept, jobs))
    watch = Stopwatch()
    async with AsyncioJobQueue(handlers, settings) as queue:
        for begin in range(0, kept, _AT_ONCE):
            await submit_all(queue, min(_AT_ONCE, kept - begin), "kilobyte")
        require(await _completed(queue), kept, "records kept")
        with watch:
            ids = await submit_all(queue, jobs, "kilobyte")
        await check_completed(queue, ids, jobs, lambda result: len(result) == 1_000)
    return watch.rates(name, jobs)
