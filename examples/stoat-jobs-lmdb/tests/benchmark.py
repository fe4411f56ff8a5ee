"""Measure jobs per second, and their ratio to the asyncio backend's in the same run."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from typing import Any

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobQueueSettings, create_queue

JOBS = 1_000
ROUNDS = 3
CALLERS = (1, 100)
CONTESTANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {}),
    "sqlite": ("sqlite", {}),
    "lmdb": ("lmdb", {}),
    "lmdb, sync=False": ("lmdb", {"sync": False}),
}

handlers = JobHandlers()


@handlers.job
async def nothing(ctx: JobContext) -> None:
    """Do nothing, so that only the queue is measured."""


async def jobs_per_second(backend: str, options: dict[str, Any], callers: int) -> float:
    with tempfile.TemporaryDirectory(dir=".") as folder:  # on a disk, which /tmp may not be
        url = None if backend == "asyncio" else f"{folder}/jobs"
        settings = JobQueueSettings(
            backend=backend,
            url=url,
            options=options,
            concurrency=callers,
            loop_block_limit=0,  # nothing else wants the loop here
        )
        async with create_queue(handlers, settings) as queue:
            begun = time.perf_counter()
            await asyncio.gather(*(call(queue, JOBS // callers) for _ in range(callers)))
            return JOBS / (time.perf_counter() - begun)


async def call(queue: JobBackend, jobs: int) -> None:
    """Submit so many *jobs*, one after another, and wait for the last."""
    for _ in range(jobs):
        job_id = await queue.submit("nothing")
    await queue.wait(job_id)


async def main() -> None:
    seen: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):  # in turn, so that changes in the machine's load affect all alike
        for name, (backend, options) in CONTESTANTS.items():
            for callers in CALLERS:
                rate = await jobs_per_second(backend, options, callers)
                seen.setdefault((name, callers), []).append(rate)
    for (name, callers), rates in seen.items():
        rate = statistics.median(rates)
        share = statistics.median(seen["asyncio", callers]) / rate
        print(f"{name}, {callers} callers: {rate:,.0f} a second, 1/{share:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
