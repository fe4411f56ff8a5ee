"""The cost of each of many watchers when their job finishes."""

from __future__ import annotations

import asyncio

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobResult, JobStatus

from .measure import Bench, Figure, Size, Stopwatch, require
from .ours import idle

FEWEST = 100


def benches(size: Size) -> list[Bench]:
    return [*_benches(FEWEST), *_benches(size.watchers)]


def _benches(watchers: int) -> list[Bench]:
    ours = Figure(f"{watchers:,} watchers, from the end until all know", "µs each")
    floor = Figure(f"{watchers:,} tasks that wait for an asyncio.Event", "µs each")
    return [
        Bench((ours.name,), lambda: {ours: asyncio.run(_told(watchers))}),
        Bench((floor.name,), lambda: {floor: asyncio.run(_woken(watchers))}),
    ]


async def _woken(watchers: int) -> float:
    """The floor: tasks that wait for an event."""
    gate, watch = asyncio.Event(), Stopwatch()
    tasks = [asyncio.ensure_future(gate.wait()) for _ in range(watchers)]
    await idle()
    with watch:
        gate.set()
        woken = await asyncio.gather(*tasks)
    require(sum(woken), watchers, "tasks woken")
    return watch.wall / watchers * 1e6


async def _told(watchers: int) -> float:
    handlers, gate, watch = JobHandlers(), asyncio.Event(), Stopwatch()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await gate.wait()

    async with AsyncioJobQueue(handlers) as queue:
        job_id = await queue.submit("held")
        seen = [asyncio.ensure_future(_last(queue, job_id)) for _ in range(watchers)]
        await idle()  # all watchers have got the record of the running job
        require(sum(task.done() for task in seen), 0, "watchers that went early")
        with watch:
            gate.set()
            records = await asyncio.gather(*seen)
    told = sum(record.status is JobStatus.COMPLETED for record in records)
    require(told, watchers, "watchers told")
    return watch.wall / watchers * 1e6


async def _last(queue: AsyncioJobQueue, job_id: str) -> JobResult:
    return [record async for record in queue.watch(job_id)][-1]
