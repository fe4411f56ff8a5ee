"""A job that one queue loses to another, with nothing but the public parts of a backend."""

from __future__ import annotations

import asyncio
from typing import Any

from stoat_jobs import (
    FinishedEvent,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobStatus,
)

from ..support.lone_run import on_loops, settle
from ..support.shared_engine import Engine
from ..support.shared_queue import SharedJobQueue

SETTINGS = JobQueueSettings(loop_block_limit=0, concurrency=1)


class Ends(JobObserver):
    def __init__(self) -> None:
        self.ended: list[Any] = []

    def finished(self, event: FinishedEvent) -> None:
        self.ended.append(event.record.result)


def registry(result: str, gate: asyncio.Future[None], cancelled: list[str]) -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> str:
        try:
            await gate
        except asyncio.CancelledError:
            cancelled.append(result)
        ctx.set_progress(0.9, result)
        return result

    return handlers


@on_loops
async def test_a_job_that_two_queues_run_ends_as_in_the_one_that_has_it() -> None:
    """The queue that lost it writes nothing, tells nobody, and has its slot free again."""
    engine, cancelled = Engine(), list[str]()
    loop = asyncio.get_running_loop()
    stuck, gate = loop.create_future(), loop.create_future()
    lost, won = Ends(), Ends()
    first = SharedJobQueue(registry("lost", stuck, cancelled), SETTINGS, [lost], engine=engine)
    second = SharedJobQueue(registry("won", gate, cancelled), SETTINGS, [won], engine=engine)
    async with first:
        job_id = await first.submit("work")
        await settle()
        async with second:
            first.takes_jobs = False  # it is not heard of
            engine.lose(engine.get(job_id))
            await settle()
            assert cancelled == ["lost"]
            assert (await second.get_result(job_id)).status is JobStatus.RUNNING
            assert (await second.get_result(job_id)).progress is None
            assert ((await first.stats()).slots_in_use, (await second.stats()).slots_in_use) == (
                0,
                1,
            )
            gate.set_result(None)
            record = await first.wait(job_id)
    assert (record.result, record.message) == ("won", "won")
    assert (lost.ended, won.ended) == ([], ["won"])
