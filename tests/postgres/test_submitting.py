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
    QueueClosedError,
    QueueFullError,
)
from stoat_jobs._postgres import submitting
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.room import Room

from .queues import LIMIT, queue_on, rows_of, until

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


class Away:
    """A server that does not answer: each try of a statement costs a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, only: str = "") -> None:
        self.only = only
        self.tries = 0
        monkeypatch.setattr(Connections, "fetch", self._fetch)

    async def _fetch(self, sql: str, *args: Any, **more: Any) -> Any:
        assert self.only in sql
        self.tries += 1
        await asyncio.sleep(1.0)
        raise TimeoutError("the server has not answered")


@pytest.mark.parametrize("kind", ["keyless", "mixed"])
async def test_submits_in_an_outage_fail_together(
    url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are under way, each is refused in about the time that one would take."""
    keyless = kind == "keyless"
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        away = Away(monkeypatch)
        keys = [None if keyless or (kind == "mixed" and n % 2) else f"{n}" for n in range(50)]
        submits = [queue.submit("work", key=key) for key in keys]
        async with asyncio.timeout(30.0):  # of 50 × 5 s
            errors = await asyncio.gather(*submits, return_exceptions=True)
        assert {type(error) for error in errors} == {JobNotKeptError}
        if keyless:
            assert away.tries < 10


async def test_a_batch_in_an_outage_is_refused_together(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What shares a statement shares its failure, and so does what waits for the next one."""
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        await queue.submit("work")  # so that there is room
        monkeypatch.setattr(submitting, "_MOST_AT_ONCE", 20)
        away = Away(monkeypatch, only="INSERT")
        submits = [queue.submit("work") for _ in range(100)]
        async with asyncio.timeout(30.0):
            errors = await asyncio.gather(*submits, return_exceptions=True)
        assert {type(error) for error in errors} == {JobNotKeptError}
        assert away.tries < 10


async def test_one_that_cannot_be_written_holds_up_no_other(url: str) -> None:
    """A value that the server refuses is refused to its own submit."""
    handlers = handlers_of("work")
    async with queue_on(url, handlers, options=SUBMITS) as queue:
        connection = await asyncpg.connect(url)
        await connection.execute("ALTER TABLE stoat_jobs.job ADD CHECK (metadata NOT LIKE '%bad%')")
        await connection.close()
        names = ["good", "bad", "good", "bad", "good"]
        submits = [queue.submit("work", metadata={"is": name}) for name in names]
        answers = await asyncio.gather(*submits, return_exceptions=True)
        assert [isinstance(answer, str) for answer in answers] == [n == "good" for n in names]
        assert len(await queue.list_jobs()) == 3


async def test_a_count_that_is_cancelled_serves_the_others() -> None:
    """Who asked first and leaves takes nobody along; nobody is refused by an old count."""
    counts: list[asyncio.Future[int]] = []

    def count() -> asyncio.Future[int]:
        counts.append(asyncio.get_running_loop().create_future())
        return counts[-1]

    room = Room(2, count)
    first, second = (asyncio.ensure_future(room.take(1)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(counts) == 1
    first.cancel()
    await asyncio.wait([first])
    counts[0].set_result(2)  # full; but then a job was cancelled, and `second` knows of it
    async with asyncio.timeout(LIMIT):
        while len(counts) < 2:
            await asyncio.sleep(0)
    counts[1].set_result(1)
    await second
    third = asyncio.ensure_future(room.take(1))
    async with asyncio.timeout(LIMIT):
        while len(counts) < 3:
            await asyncio.sleep(0)
    room.close()
    with pytest.raises(QueueClosedError):
        await third


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


async def test_a_large_batch_has_the_time_that_it_needs(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow server writes many jobs for longer than any single statement may take."""
    given: list[float] = []
    fetch = Connections.fetch

    async def timed(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        if "INSERT" in sql:
            given.append(more["seconds"])
        return await fetch(connections, sql, *args, **more)

    slow = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$;
CREATE TRIGGER slow BEFORE INSERT ON stoat_jobs.job EXECUTE FUNCTION slow()"""
    async with queue_on(url, handlers_of("work"), options={"lease": 1.0, **SUBMITS}) as queue:
        connection = await asyncpg.connect(url)
        await connection.execute(slow)
        await connection.close()
        monkeypatch.setattr(Connections, "fetch", timed)
        ids = await queue.submit_many("work", [{"n": n} for n in range(2_000)])
        text = "x" * 500_000
        await queue.submit_many("work", [{"text": text} for _ in range(8)])
        assert (await queue.get_result(ids[0])).status is JobStatus.PENDING
    assert [seconds > 4 for seconds in given] == [True, True]  # each was sent once


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
