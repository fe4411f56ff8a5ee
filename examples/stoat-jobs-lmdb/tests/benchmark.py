"""Measure jobs per second, and their ratio to the asyncio backend's in the same run."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from typing import Any

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, create_queue

JOBS = 2_000
ROUNDS = 5

handlers = JobHandlers()


@handlers.job
async def nothing(ctx: JobContext) -> None:
    """Do nothing, so that only the queue is measured."""


async def jobs_per_second(backend: str, **options: Any) -> float:
    with tempfile.TemporaryDirectory() as folder:
        url = f"{folder}/jobs.lmdb" if backend == "lmdb" else None
        settings = JobQueueSettings(
            backend=backend,
            url=url,
            options=options,
            loop_block_limit=0,  # nothing else wants the loop here
        )
        async with create_queue(handlers, settings) as queue:
            begun = time.perf_counter()
            ids = [await queue.submit("nothing") for _ in range(JOBS)]
            await queue.wait(ids[-1])
            return JOBS / (time.perf_counter() - begun)


async def main() -> None:
    contestants: dict[str, tuple[str, dict[str, Any]]] = {
        "asyncio": ("asyncio", {}),
        "lmdb": ("lmdb", {}),
        "lmdb, sync=False": ("lmdb", {"sync": False}),
    }
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):  # in turn, so that changes in the machine's load affect all alike
        for name, (backend, options) in contestants.items():
            seen[name].append(await jobs_per_second(backend, **options))
    for name, rates in seen.items():
        rate = statistics.median(rates)
        print(f"{name}: {rate:,.0f} a second, 1/{statistics.median(seen['asyncio']) / rate:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
