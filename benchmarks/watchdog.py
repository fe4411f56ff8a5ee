"""The cost of the event loop watchdog for a job: CPU time with it and without it.

    python benchmarks/watchdog.py

Each round runs with it and without it, in random order, and the result is the ratio. CPU time, of
all threads, is steadier than wall-clock time on a machine that does other work.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings

JOBS = 20_000
ROUNDS = 21
LIMITS = {"without": 0.0, "default": 1.0, "eighty checks a second": 0.1}

handlers = JobHandlers()


@handlers.job
async def noop(ctx: JobContext) -> None: ...


async def run(limit: float) -> float:
    """Seconds of CPU time per job."""
    settings = JobQueueSettings(loop_block_limit=limit, concurrency=100, max_pending=JOBS)
    async with AsyncioJobQueue(handlers, settings) as queue:
        begun = time.process_time()
        for number in range(JOBS):
            job_id = await queue.submit("noop")
            if number % 100 == 0:
                await asyncio.sleep(0)  # otherwise submitting blocks the loop, which is logged
        await queue.wait(job_id)
        return (time.process_time() - begun) / JOBS


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in LIMITS}
    for _ in range(ROUNDS):
        for name in random.sample(list(LIMITS), len(LIMITS)):
            taken[name].append(asyncio.run(run(LIMITS[name])))
    for name, times in taken.items():
        ratios = [time / base for time, base in zip(times, taken["without"])]
        low, high = min(ratios), max(ratios)
        median = statistics.median(ratios)
        print(f"{name:<24}{median:6.3f}  ({low:.3f} to {high:.3f}) of the time without it")


if __name__ == "__main__":
    main()
