"""The cost of a client that follows all jobs: ``python benchmarks/watch_all.py``.

5,000 finished jobs are kept, ten running jobs set their progress ten times a second each, and
fifty jobs a second start and finish. Each step of the poller on the event loop is timed by the
thread's CPU time, so that other processes do not count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from functools import partial
from itertools import count
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings
from stoat_jobs.http import HttpLimits
from stoat_jobs.http._feed import Feed
from stoat_jobs.http._records import row_json

KEPT = 5_000
SECONDS = 10.0

handlers = JobHandlers()


@handlers.job
async def quick(ctx: JobContext) -> None:
    """Finish at once."""


@handlers.job
async def busy(ctx: JobContext) -> None:
    for turn in count():
        ctx.set_progress(turn % 100 / 100, f"turn {turn}")
        await asyncio.sleep(0.1)


class Timed:
    """Awaits a coroutine and records how long each of its steps blocked the event loop."""

    def __init__(self, coro: Any) -> None:
        self._coro = coro
        self.steps: list[float] = []

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            before = time.thread_time()
            try:
                waited = self._coro.send(None)
            except StopIteration:
                return
            finally:
                self.steps.append(time.thread_time() - before)
            yield waited

    async def run(self) -> None:
        await self


async def measure() -> None:
    settings = JobQueueSettings(concurrency=100, max_results=KEPT, drain_timeout=0)
    async with AsyncioJobQueue(handlers, settings) as queue:
        for job_id in [await queue.submit("quick") for _ in range(KEPT)]:
            await queue.wait(job_id)
        for _ in range(10):
            await queue.submit("busy")
        feed = Feed(queue, HttpLimits(), partial(row_json, expose_errors=True))
        polls = Timed(feed._keep_polling())
        feed._poller = task = asyncio.create_task(polls.run())
        await feed._wait_for_more_than(0)
        print(f"first poll: {summary(polls.steps)}")
        polls.steps.clear()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            await queue.submit("quick")
            await asyncio.sleep(0.02)
        share = sum(polls.steps) / SECONDS
        print(f"then, {SECONDS:g} s: {summary(polls.steps)}, {share:.2%} of a core")
        task.cancel()


def summary(steps: list[float]) -> str:
    return f"{sum(steps) * 1e3:.1f} ms in {len(steps)} steps, the longest {max(steps) * 1e3:.1f} ms"


if __name__ == "__main__":
    asyncio.run(measure())
