"""How long one call takes: from submit to result when idle, and submit with pending jobs."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from .floors import FloorC
from .measure import Bench, Figure, Round, Size, require
from .ours import idle, make_queue

P50, P99 = "p50, µs", "p99, µs"
OURS, FLOOR_C = "idle submit to result, asyncio", "idle submit to result, floor C"
NONE_WAITING, MANY_WAITING = "submit, none waiting", "submit, {:,} waiting"


def benches(size: Size) -> list[Bench]:
    return [
        Bench((OURS,), partial(_idle, OURS, _ours, size.samples), partial(_idle, OURS, _ours, 50)),
        Bench((FLOOR_C,), partial(_idle, FLOOR_C, _floor, size.samples)),
        Bench((NONE_WAITING, many_waiting(size)), partial(_submits, size.waiting, size.samples)),
    ]


def many_waiting(size: Size) -> str:
    return MANY_WAITING.format(size.waiting)


def _quantiles(name: str, seconds: list[float]) -> Round:
    cut = statistics.quantiles(seconds, n=100)
    return {Figure(name, P50): cut[49] * 1e6, Figure(name, P99): cut[98] * 1e6}


def _idle(name: str, sample: Callable[[int], Awaitable[list[float]]], samples: int) -> Round:
    return _quantiles(name, asyncio.run(_awaited(sample, samples)))


async def _awaited(sample: Callable[[int], Awaitable[list[float]]], samples: int) -> list[float]:
    return await sample(samples)


async def _ours(samples: int) -> list[float]:
    taken = []
    async with make_queue() as queue:
        for _ in range(samples):
            await asyncio.sleep(0)
            begun = time.perf_counter()
            record = await queue.wait(await queue.submit("noop"))
            taken.append(time.perf_counter() - begun)
            require(record.status, JobStatus.COMPLETED, "status")
            await idle()
    return taken


async def _floor(samples: int) -> list[float]:
    taken = []
    with FloorC(1) as floor:
        for _ in range(samples):
            await asyncio.sleep(0)
            begun = time.perf_counter()
            record = await floor.wait(await floor.submit())
            taken.append(time.perf_counter() - begun)
            require(record.status, "completed", "status")
            await idle()
    return taken


def _submits(waiting: int, samples: int) -> Round:
    return asyncio.run(_submit_with(waiting, samples))


async def _submit_with(waiting: int, samples: int) -> Round:
    handlers, gate = JobHandlers(), asyncio.Event()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await gate.wait()

    settings = JobQueueSettings(max_pending=waiting + samples)
    async with AsyncioJobQueue(handlers, settings) as queue:
        await queue.submit("held")  # uses the only slot
        none = await _submit_times(queue, samples)
        for number in range(waiting):
            last = await queue.submit("held")
            if number % 1_000 == 0:
                await asyncio.sleep(0)
        many = await _submit_times(queue, samples)
        stats = await queue.stats()
        require(stats.by_status[JobStatus.PENDING], waiting, "jobs that wait")
        gate.set()
        await queue.wait(last)
    return {
        **_quantiles(NONE_WAITING, none),
        **_quantiles(MANY_WAITING.format(waiting), many),
    }


async def _submit_times(queue: AsyncioJobQueue, samples: int) -> list[float]:
    """Each job is cancelled again, so that the number of pending jobs stays the same."""
    taken = []
    for _ in range(samples):
        begun = time.perf_counter()
        job_id = await queue.submit("held")
        taken.append(time.perf_counter() - begun)
        require(await queue.cancel(job_id), expected=True, what="cancelled a job that waits")
    return taken
