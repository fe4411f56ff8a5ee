"""A notice serializes commits on the server, so there is one for many jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from stoat_jobs import JobContext, JobHandlers
from stoat_jobs._postgres.schema import engine_channel, jobs_channel

from .queues import LIMIT, Gate, queue_on, rows_of, until

MANY = 200


@asynccontextmanager
async def hearing(url: str) -> AsyncIterator[list[str]]:
    """All notices of the block, on both channels."""
    heard, is_over = list[str](), asyncio.Event()

    def hear(*args: object) -> None:
        payload = str(args[-1])
        is_over.set() if payload == "over" else heard.append(payload)

    connection = await asyncpg.connect(url)
    try:
        for channel in (engine_channel("stoat_jobs"), jobs_channel("stoat_jobs")):
            await connection.add_listener(channel, hear)
        yield heard
        await rows_of(url, "SELECT pg_notify($1, 'over')", jobs_channel("stoat_jobs"))
        async with asyncio.timeout(LIMIT):
            await is_over.wait()
    finally:
        await connection.close()


async def test_a_batch_of_new_jobs_is_one_notice(url: str) -> None:
    """However many there are."""
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> None: ...

    async with queue_on(url, handlers, options={"worker": False}) as queue:
        async with hearing(url) as heard:
            await queue.submit_many("work", [{}] * 1_000)
        assert len([each for each in heard if each != "echo"]) == 1


async def test_ends_that_come_together_share_notices(url: str) -> None:
    """Of two hundred jobs, which are far fewer than one each."""
    handlers, gate = JobHandlers(), Gate()

    @handlers.job
    async def hold(ctx: JobContext, n: int) -> None:
        await gate.wait(n)

    async with queue_on(url, handlers, concurrency=MANY) as queue:
        await queue.submit_many("hold", [{"n": n} for n in range(MANY)])
        await gate.until(MANY)

        async def have_ended() -> bool:
            return not await queue.list_jobs(status="running", limit=1)

        async with hearing(url) as heard:
            gate.opened.set()
            await until(have_ended)
        ends = [each for each in heard if each.startswith("j:")]
        assert sum(each.count(",") + 1 for each in ends) == MANY
        assert len(heard) < MANY / 4
