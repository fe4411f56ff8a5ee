"""On a real uvloop, in real time: what a fake clock does not show."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from ..support import SAFETY_NET


@pytest.mark.parametrize("limit", [0.0003, 0.0013, 0.00249])
def test_every_job_past_its_limit_ends__fault_54(run: Any, limit: float) -> None:
    """Hundreds of jobs of one limit, some at once and some in turn, are each stopped by it."""
    handlers = JobHandlers()

    @handlers.job(timeout=limit)
    async def stuck(ctx: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> set[JobStatus]:
        settings = JobQueueSettings(concurrency=7, loop_block_limit=0)
        async with AsyncioJobQueue(handlers, settings) as queue:
            ids = [await queue.submit("stuck") for _ in range(400)]
            return {(await queue.wait(job_id, SAFETY_NET)).status for job_id in ids}

    assert run(main()) == {JobStatus.TIMEOUT}


def test_a_handler_hears_of_its_cancel_before_its_grace_is_over__fault_54(run: Any) -> None:
    """Where the loop was blocked for longer than the grace, the handler has its turn first."""
    handlers = JobHandlers()
    heard: list[str] = []

    @handlers.job
    async def tidy(ctx: JobContext) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            heard.append(ctx.job_id)
            raise

    async def main() -> tuple[JobStatus, int]:
        settings = JobQueueSettings(cancel_grace=0.01, loop_block_limit=0)
        async with AsyncioJobQueue(handlers, settings) as queue:
            job_id = await queue.submit("tidy")
            await asyncio.sleep(0)
            await queue.cancel(job_id)
            time.sleep(0.05)  # noqa: ASYNC251 - the loop is blocked on purpose
            status = (await queue.wait(job_id, SAFETY_NET)).status
            return status, len(heard)

    assert run(main()) == (JobStatus.CANCELLED, 1)


def test_asyncio_run_ends_after_a_handler_that_cannot_be_cancelled__fault_55(run: Any) -> None:
    """What refuses its cancel is left out of what the loop's end cancels, which would raise."""

    class StubbornFuture(asyncio.Future[None]):
        def cancel(self, msg: Any = None) -> bool:
            raise RuntimeError("cannot be cancelled")

    handlers = JobHandlers()
    stubborn: list[StubbornFuture] = []

    @handlers.job
    async def stuck(ctx: JobContext) -> None:
        stubborn.append(StubbornFuture())
        await stubborn[0]

    async def main() -> JobStatus:
        settings = JobQueueSettings(drain_timeout=0, cancel_grace=0.01, loop_block_limit=0)
        async with AsyncioJobQueue(handlers, settings) as queue:
            job_id = await queue.submit("stuck")
            await asyncio.sleep(0)
        status = await queue.get_status(job_id)
        asyncio.get_running_loop().call_soon(stubborn[0].set_result, None)  # else a warning
        return status

    assert run(main()) == JobStatus.CANCELLED
