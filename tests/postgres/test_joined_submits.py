"""`submit(connection=...)` from end to end: a job is there when the caller commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from stoat_jobs import (
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobStatus,
    KeyConflictError,
)
from stoat_jobs.postgres import PostgresJobQueue

from .joining_ways import WAYS, Way, by_asyncpg

EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

registry = JobHandlers()


@registry.job("double")
async def double(ctx: JobContext, n: int) -> int:
    return 2 * n


def queue_at(url: str, **fields: Any) -> PostgresJobQueue:
    settings = JobQueueSettings(backend="postgres", url=url, **fields)
    return PostgresJobQueue(registry, settings)


@pytest.fixture
async def queue(url: str) -> AsyncIterator[PostgresJobQueue]:
    async with queue_at(url) as queue:
        yield queue


@EVERY_WAY
async def test_a_submit_that_is_rolled_back_never_was(
    queue: PostgresJobQueue, url: str, way: Way
) -> None:
    """One that is committed is run; nobody sees it before, and of the other nothing is left."""
    for commits in (False, True):
        async with way(url, commits) as connection:
            one = await queue.submit("double", {"n": 1}, connection=connection, delay=0.0)
            keyed = await queue.submit("double", {"n": 2}, key="k", connection=connection)
            again = await queue.submit("double", {"n": 2}, key="k", connection=connection)
            many = await queue.submit_many("double", [{"n": 3}, {"n": 4}], connection=connection)
            assert keyed == again
            for job_id in (one, keyed, *many):
                with pytest.raises(JobNotFoundError):
                    await queue.get_result(job_id)
        if commits:
            done = [await queue.wait(job_id, timeout=60) for job_id in (one, keyed, *many)]
            assert [each.result for each in done] == [2, 4, 6, 8]
        else:
            assert await queue.list_jobs() == []
            fresh = await queue.submit("double", {"n": 2}, key="k")
            assert fresh != keyed
            await queue.wait(fresh, timeout=60)
            await queue.delete(fresh)


async def test_a_key_whose_holder_is_too_old_is_free(url: str) -> None:
    """Within a transaction as without one: a job that is not kept any more holds no key."""
    async with queue_at(url, result_ttl=0.5) as queue:
        for number in range(3):
            async with by_asyncpg(url, True) as connection:
                held = await queue.submit(
                    "double", {"n": number}, key="k", unique="kept", connection=connection
                )
            assert (await queue.wait(held, timeout=60)).result == 2 * number
            while await queue.list_jobs():
                pass


async def test_a_kept_key_is_compared(queue: PostgresJobQueue, url: str) -> None:
    """The holder of a kept key is found, or refused if it is of another payload."""
    held = await queue.submit("double", {"n": 1}, key="k", unique="kept")
    await queue.wait(held, timeout=60)
    async with by_asyncpg(url, True) as connection:
        one = {"key": "k", "unique": "kept", "connection": connection}
        assert await queue.submit("double", {"n": 1}, **one) == held
        with pytest.raises(KeyConflictError):
            await queue.submit("double", {"n": 2}, **one)
        assert await connection.fetchval("SELECT 1") == 1


async def test_keys_in_opposite_orders_are_a_deadlock_that_is_told(
    queue: PostgresJobQueue, url: str
) -> None:
    """The server ends one of two such transactions; its library's error says what to do.

    The other one goes on, and has both keys.
    """
    both_have_one = asyncio.Barrier(2)

    async def submit(keys: str) -> list[str]:
        async with by_asyncpg(url, True) as connection:
            one = {"delay": 3600, "connection": connection}
            job_ids = [await queue.submit("double", {"n": 1}, key=keys[0], **one)]
            await both_have_one.wait()
            return [*job_ids, await queue.submit("double", {"n": 1}, key=keys[1], **one)]

    answers = await asyncio.gather(submit("ab"), submit("ba"), return_exceptions=True)
    (error,) = [each for each in answers if isinstance(each, BaseException)]
    (job_ids,) = [each for each in answers if isinstance(each, list)]
    assert isinstance(error, asyncpg.DeadlockDetectedError)
    assert "in one order" in error.__notes__[0]
    assert {job.job_id for job in await queue.list_jobs()} == set(job_ids)


async def test_a_snapshot_from_before_the_holder_is_told(queue: PostgresJobQueue, url: str) -> None:
    """A REPEATABLE READ caller hears from its own library that it has to try again."""
    connection = await asyncpg.connect(url)
    with pytest.raises(asyncpg.SerializationError) as caught:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch("SELECT 1")
            await queue.submit("double", {"n": 1}, key="k", delay=3600)
            await queue.submit("double", {"n": 2}, key="k", connection=connection)
    assert "Roll back and try again" in caught.value.__notes__[0]
    async with connection.transaction(isolation="repeatable_read"):
        held = await queue.submit("double", {"n": 2}, key="k", connection=connection)
    assert await queue.get_status(held) is JobStatus.PENDING
    await connection.close()
