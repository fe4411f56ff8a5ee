"""How jobs are accepted."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stoat_jobs import (
    JobContext,
    JobHandlers,
    JobNotKeptError,
    JobStatus,
    KeyConflictError,
    QueueFullError,
)
from stoat_jobs._postgres.connections import Connections

from .queues import queue_on, rows_of, until

SUBMITS = {"worker": False}


def handlers_of(*names: str) -> JobHandlers:
    handlers = JobHandlers()
    for name in names:
        handlers.register(name, work, keep_payload=True)
    return handlers


async def work(ctx: JobContext, /, **payload: Any) -> None: ...


async def test_keyless_submits_of_one_moment_share_statements(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred submits at once are a few statements, in the order of submission."""
    statements = []
    fetch = Connections.fetch

    async def counted(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        statements.append(sql)
        return await fetch(connections, sql, *args, **more)

    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        monkeypatch.setattr(Connections, "fetch", counted)
        ids = await asyncio.gather(*(queue.submit("work", {"n": n}) for n in range(500)))
        inserts = [sql for sql in statements if "INSERT" in sql]
        page = await queue.list_jobs(limit=1_000)
    assert len(inserts) <= 3
    assert [job.job_id for job in reversed(page)] == ids


async def test_a_submit_whose_answer_is_lost_is_one_job(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is sent again under the same id, with and without a key."""
    fetch = Connections.fetch
    lost: list[str] = []

    async def losing(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        rows = await fetch(connections, sql, *args, **more)
        if "INSERT" in sql and len(lost) < 1:
            lost.append(sql)
            raise ConnectionResetError("the answer is lost")
        return rows

    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        for key in (None, "one"):
            lost.clear()
            monkeypatch.setattr(Connections, "fetch", losing)
            job_id = await queue.submit("work", key=key)
            assert lost
            assert (await queue.get_result(job_id)).status is JobStatus.PENDING
        assert len(await queue.list_jobs()) == 2


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


async def test_a_resubmission_has_the_kept_key(url: str) -> None:
    """The new job holds the key from then on, and the old one does not."""
    async with queue_on(url, handlers_of("work")) as queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        await queue.wait(first)
        second = await queue.resubmit(first)
        await queue.wait(second)
        assert await queue.submit("work", {"n": 1}, key="one", unique="kept") == second
        assert (await queue.get_result(second)).metadata == {"resubmitted_from": first}


async def test_a_full_queue_refuses_in_every_process(url: str) -> None:
    """``max_pending`` counts the jobs of all processes, and room is seen as soon as it matters."""
    one = queue_on(url, handlers_of("work"), options=SUBMITS, max_pending=3)
    two = queue_on(url, handlers_of("work"), options=SUBMITS, max_pending=3)
    async with one, two:
        ids = [await one.submit("work") for _ in range(3)]
        for queue in (one, two):
            with pytest.raises(QueueFullError):
                await queue.submit("work")
            with pytest.raises(QueueFullError):
                await queue.submit_many("work", [{}, {}])
        assert await two.cancel(ids[0])
        assert await two.submit("work")


async def test_a_long_name_is_refused(url: str) -> None:
    """The name of a job type has at most 512 bytes, because the server's indexes have a limit."""
    names = ["x" * 512, "x" * 513, "ä" * 257]
    async with queue_on(url, handlers_of(*names), options=SUBMITS) as queue:
        assert await queue.submit(names[0], key="y" * 1024)
        for name in names[1:]:
            with pytest.raises(ValueError, match="512 bytes"):
                await queue.submit(name)


async def test_what_waits_to_be_written_at_the_stop_is_refused_or_there(url: str) -> None:
    """A submit under way when the queue stops is accepted, or says that the queue is closed."""
    queue = queue_on(url, handlers_of("work"), options=SUBMITS)
    async with queue:
        submits = [asyncio.ensure_future(queue.submit("work", {"n": n})) for n in range(300)]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*submits, return_exceptions=True)
    (row,) = await rows_of(url, "SELECT count(*) AS number FROM stoat_jobs.job")
    accepted = [answer for answer in answers if isinstance(answer, str)]
    assert row["number"] >= len(accepted)
    assert len(accepted) + sum(isinstance(answer, Exception) for answer in answers) == 300


async def test_a_delay_counts_by_the_clock_of_the_server(url: str) -> None:
    """``not_before`` is the server's time of the submission and the delay."""
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        job_id = await queue.submit("work", delay=90.5)
        record = await queue.get_result(job_id)
        assert record.not_before is not None
        assert (record.not_before - record.submitted_at).total_seconds() == 90.5


async def test_a_delayed_job_starts_soon_after_it_is_due(url: str) -> None:
    """An idle worker looks again when the next delayed job is due."""
    async with queue_on(url, handlers_of("work"), options={"lease": 3600.0}) as queue:
        job_id = await queue.submit("work", delay=0.5)

        async def has_ended() -> bool:
            return (await queue.get_result(job_id)).status.is_terminal

        await until(has_ended)
