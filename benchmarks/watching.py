"""What each watcher costs when the job that many of them watch ends."""

from __future__ import annotations

import asyncio

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobResult, JobStatus

from .measure import Bench, Figure, Round, Size, Stopwatch, require

FEWEST = 100


def benches(size: Size) -> list[Bench]:
    return [_bench(FEWEST), _bench(size.watchers)]


def figure(watchers: int) -> Figure:
    return Figure(f"{watchers:,} watchers, from the end until all know", "µs each")


def _bench(watchers: int) -> Bench:
    return Bench(figure(watchers).name, lambda: asyncio.run(_told(watchers)))


async def _told(watchers: int) -> Round:
    handlers, gate, watch = JobHandlers(), asyncio.Event(), Stopwatch()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        await gate.wait()

    async with AsyncioJobQueue(handlers) as queue:
        job_id = await queue.submit("held")
        seen = [asyncio.ensure_future(_last(queue, job_id)) for _ in range(watchers)]
        for _ in range(5):
            await asyncio.sleep(0)  # all have seen it run
        require(sum(task.done() for task in seen), 0, "watchers that went early")
        with watch:
            gate.set()
            records = await asyncio.gather(*seen)
    told = sum(record.status is JobStatus.COMPLETED for record in records)
    require(told, watchers, "watchers told")
    return {figure(watchers): watch.wall / watchers * 1e6}


async def _last(queue: AsyncioJobQueue, job_id: str) -> JobResult:
    return [record async for record in queue.watch(job_id)][-1]
