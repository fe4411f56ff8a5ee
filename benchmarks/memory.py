"""The memory of a pending job, and of a kept record without a result, in bytes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from .measure import Bench, Figure, Size, require
from .ours import make_queue, submit_all

PENDING = Figure("pending job, no payload", "bytes")
KEPT = Figure("kept finished record, no result", "bytes")


def benches(size: Size) -> list[Bench]:
    return [
        Bench((PENDING.name,), lambda: {PENDING: asyncio.run(_pending(size.records))}),
        Bench((KEPT.name,), lambda: {KEPT: asyncio.run(_kept(size.records))}),
    ]


async def _pending(records: int) -> float:
    """In a queue that is in use, whose tables have grown already."""
    handlers, gate = JobHandlers(), asyncio.Event()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await gate.wait()

    jobs, run_before = records // 2, records * 2 + records // 5
    settings = JobQueueSettings(max_results=run_before)
    async with AsyncioJobQueue(handlers, settings) as queue:
        gate.set()
        for _ in range(0, run_before, records // 5):
            await submit_all(queue, records // 5, "held")
        gate.clear()
        await queue.submit("held")  # uses the only slot
        await asyncio.sleep(0)
        taken = await _bytes(lambda: _submit(queue, jobs)) / jobs
        pending = (await queue.stats()).by_status[JobStatus.PENDING]
        require(pending, jobs, "jobs that wait")
        last = await queue.submit("held")
        gate.set()
        await queue.wait(last)
    return taken


async def _submit(queue: AsyncioJobQueue, jobs: int) -> None:
    for _ in range(jobs):
        await queue.submit("held")


async def _kept(records: int) -> float:
    """What a queue needs once is not measured, nor what many pending jobs leave behind."""
    async with make_queue(100, max_results=records * 2) as queue:
        await _run(queue, records // 5)
        taken = await _bytes(lambda: _run(queue, records)) / records
        kept = (await queue.stats()).by_status[JobStatus.COMPLETED]
        require(kept, records + records // 5, "records kept")
    return taken


async def _run(queue: AsyncioJobQueue, jobs: int) -> None:
    for _ in range(0, jobs, 100):
        await submit_all(queue, 100)


async def _bytes(add: Callable[[], Awaitable[None]]) -> int:
    tracemalloc.start()
    try:
        before = _traced()
        await add()
        return _traced() - before
    finally:
        tracemalloc.stop()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
