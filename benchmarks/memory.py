"""The memory of a kept finished record without a result, in bytes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from stoat_jobs import JobStatus

from .measure import Bench, Figure, Size, require
from .ours import make_queue, submit_all

BYTES = Figure("kept finished record, no result", "bytes")


def benches(size: Size) -> list[Bench]:
    return [Bench(BYTES.name, lambda: {BYTES: asyncio.run(_bytes(size.records))})]


async def _bytes(records: int) -> float:
    """The first thousand records are not measured, because they include one-time costs."""
    async with make_queue(100, max_results=records + 1_000) as queue:
        tracemalloc.start()
        try:
            await submit_all(queue, 1_000)
            before = _traced()
            await submit_all(queue, records)
            taken = _traced() - before
        finally:
            tracemalloc.stop()
        kept = (await queue.stats()).by_status[JobStatus.COMPLETED]
        require(kept, records + 1_000, "records kept")
    return taken / records


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
