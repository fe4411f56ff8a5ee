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
_WARM_UP = 1_000


def benches(size: Size) -> list[Bench]:
    return [
        Bench((PENDING.name,), lambda: {PENDING: asyncio.run(_pending(size.records))}),
        Bench((KEPT.name,), lambda: {KEPT: asyncio.run(_kept(size.records))}),
    ]


async def _pending(jobs: int) -> float:
    handlers, gate = JobHandlers(), asyncio.Event()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await gate.wait()

    settings = JobQueueSettings(max_pending=jobs + _WARM_UP + 1)
    async with AsyncioJobQueue(handlers, settings) as queue:

        async def submit(number: int) -> None:
            for _ in range(number):
                await queue.submit("held")

        await submit(1)  # uses the only slot
        await asyncio.sleep(0)
        taken = await _bytes(submit, jobs)
        stats = await queue.stats()
        require(stats.by_status[JobStatus.PENDING], jobs + _WARM_UP, "jobs that wait")
        last = await queue.submit("held")
        gate.set()
        await queue.wait(last)
    return taken


async def _kept(records: int) -> float:
    async with make_queue(100, max_results=records + _WARM_UP) as queue:
        taken = await _bytes(lambda number: submit_all(queue, number), records)
        kept = (await queue.stats()).by_status[JobStatus.COMPLETED]
        require(kept, records + _WARM_UP, "records kept")
    return taken


async def _bytes(add: Callable[[int], Awaitable[object]], number: int) -> float:
    """Bytes of each that *add* adds; the first thousand also pay what is needed once."""
    tracemalloc.start()
    try:
        await add(_WARM_UP)
        before = _traced()
        await add(number)
        return (_traced() - before) / number
    finally:
        tracemalloc.stop()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
