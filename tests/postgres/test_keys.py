"""Keys: who holds one, how long, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from stoat_jobs import (
    JobContext,
    JobHandlers,
    JobNotKeptError,
    KeyConflictError,
)
from stoat_jobs._postgres.connections import Connections

from .queues import queue_on

SUBMITS = {"worker": False}


def handlers_of(*names: str) -> JobHandlers:
    handlers = JobHandlers()
    for name in names:
        handlers.register(name, work, keep_payload=True)
    return handlers


async def work(ctx: JobContext, /, **payload: Any) -> None: ...


async def test_a_key_in_an_open_transaction_is_refused_in_time(url: str) -> None:
    """A submit does not wait without bound for somebody's open transaction that has its key."""
    options = {"lease": 1.0, **SUBMITS}
    async with queue_on(url, handlers_of("work"), options=options) as queue:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                held = await queue.submit("work", key="one", connection=connection)
                with pytest.raises(JobNotKeptError, match="transaction that is still open"):
                    await queue.submit("work", key="one")
                assert await queue.submit("work", key="two")
        finally:
            await connection.close()
        assert await queue.submit("work", key="one") == held


async def test_keys_in_opposite_orders_do_not_deadlock(url: str) -> None:
    """Many submits of the same keys in different orders all come to the same jobs."""
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:

        async def submit(keys: list[str]) -> list[str]:
            return [await queue.submit("work", key=key) for key in keys]

        keys = [f"key {number}" for number in range(8)]
        rounds = [keys if number % 2 else keys[::-1] for number in range(6)]
        answers = await asyncio.gather(*map(submit, rounds))
    forward = [ids if number % 2 else ids[::-1] for number, ids in enumerate(answers)]
    assert all(ids == forward[0] for ids in forward)


async def test_a_kept_key_is_free_when_its_record_is_too_old(url: str) -> None:
    """A finished job holds a kept key as long as its record is kept, and not until it is pruned."""
    handlers = handlers_of("work")
    async with queue_on(url, handlers, result_ttl=0.5) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
        with pytest.raises(KeyConflictError):
            await queue.submit("work", {"n": 2}, key="one", unique="kept")
        await asyncio.sleep(0.6)
        second = await queue.submit("work", {"n": 2}, key="one", unique="kept")
    assert second != first


async def test_a_key_that_is_kept_for_ever_is_free_after_a_delete(url: str) -> None:
    """Without a limit of age, the key of a kept record is held until that is deleted."""
    handlers = handlers_of("work")
    async with queue_on(url, handlers, result_ttl=float("inf")) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
        assert await queue.submit("work", {"n": 1}, key="one", unique="kept") == first
        assert await queue.delete(first)
        assert await queue.submit("work", {"n": 1}, key="one", unique="kept") != first


async def test_a_key_is_kept_by_the_job_that_is_returned(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that ends while it is asked to keep its key has let it go: then there is a new job.

    Else the next submit of the same would run a second one.
    """
    fetch = Connections.fetch
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        first = await queue.submit("work", key="one")

        async def late(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
            if "SET is_kept = true" in sql:
                monkeypatch.undo()
                assert await queue.cancel(first)
            return await fetch(connections, sql, *args, **more)

        monkeypatch.setattr(Connections, "fetch", late)
        second = await queue.submit("work", key="one", unique="kept")
        assert second != first
        assert await queue.submit("work", key="one", unique="kept") == second


async def test_a_submit_with_a_free_key_is_three_statements(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is taken, how many wait, and the job itself."""
    statements: list[str] = []
    fetch = Connections.fetch

    async def counted(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        statements.append(sql)
        return await fetch(connections, sql, *args, **more)

    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        monkeypatch.setattr(Connections, "fetch", counted)
        await queue.submit("work", key="one")
    assert len(statements) == 3


async def test_a_lock_is_said_to_be_of_a_key_only_if_there_is_one(url: str) -> None:
    """What holds up jobs without a key is an earlier try of theirs, which may still succeed."""
    async with queue_on(url, handlers_of("work"), options={"lease": 1.0, **SUBMITS}) as queue:
        await queue.submit("work")
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute("LOCK stoat_jobs.job IN SHARE MODE")
            with pytest.raises(JobNotKeptError, match="an earlier try.* may still succeed"):
                await queue.submit_many("work", [{}, {}])
            with pytest.raises(JobNotKeptError, match="has its key"):
                await queue.submit("work", key="one")
        await connection.close()


async def test_of_two_resubmits_one_has_the_kept_key(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both return the id of the same new job, though both have read that the old one has the key."""
    async with queue_on(url, handlers_of("work")) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
        source = queue._records.source
        together = asyncio.Barrier(2)

        async def at_once(job_id: str) -> Any:
            row = await source(job_id)
            await together.wait()
            return row

        monkeypatch.setattr(queue._records, "source", at_once)
        one, two = await asyncio.gather(queue.resubmit(first), queue.resubmit(first))
        assert one == two != first


async def test_a_resubmit_whose_answer_is_lost_is_one_job(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that hands the key on is sent again under the same id."""
    transaction, lost = Connections.transaction, 0

    @asynccontextmanager
    async def losing(connections: Connections, **more: Any) -> AsyncIterator[Any]:
        nonlocal lost
        async with transaction(connections, **more) as connection:
            yield connection
        lost += 1
        if lost == 1:
            raise ConnectionResetError("the answer is lost")

    async with queue_on(url, handlers_of("work")) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        monkeypatch.setattr(Connections, "transaction", losing)
        second = await queue.resubmit(first)
        assert lost == 2
        assert [job.job_id for job in await queue.list_jobs()] == [second, first]


async def test_a_resubmit_in_an_outage_is_refused_by_name(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes away before the key is handed on is no driver's own error."""
    tries = 0

    @asynccontextmanager
    async def away(connections: Connections, **more: Any) -> AsyncIterator[Any]:
        nonlocal tries
        tries += 1
        raise ConnectionRefusedError("no server")
        yield

    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.cancel(first)
        monkeypatch.setattr(Connections, "transaction", away)
        with pytest.raises(JobNotKeptError, match="the server cannot be reached"):
            await queue.resubmit(first)
        assert tries > 1
        monkeypatch.undo()
        second = await queue.resubmit(first)
        assert await queue.submit("work", {"n": 1}, key="one", unique="kept") == second


async def test_a_resubmission_has_the_kept_key(url: str) -> None:
    """The new job holds the key from then on, and the old one does not."""
    async with queue_on(url, handlers_of("work")) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
        second = await queue.resubmit(first)
        await queue.wait(second)
        assert await queue.submit("work", {"n": 1}, key="one", unique="kept") == second
        assert (await queue.get_result(second)).metadata == {"resubmitted_from": first}
