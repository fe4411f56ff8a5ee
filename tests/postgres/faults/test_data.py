"""What is stored: odd values, values that the server refuses, tables that disagree or grow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from stoat_jobs import JobStatus

from ...support.fleet.fleet import Fleet, until
from ...support.fleet.submitter import ODD

SHORT = {"lease": 2.0}

FAILS_FOR = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.{column} LIKE '%poison%' THEN
        RAISE EXCEPTION 'no such value' USING ERRCODE = '22P05';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON stoat_jobs.job
    FOR EACH ROW EXECUTE FUNCTION {name}();
"""


@asynccontextmanager
async def connected(fleet: Fleet) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(fleet.url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_values_come_back_as_they_were(fleet: Fleet) -> None:
    """U+0000, large and negative zero numbers, odd keys and letters, in payload and result."""
    await fleet.worker()
    async with fleet.queue() as queue:
        values = [*ODD, {"a": ODD}, 10**300, 5e-324, "x" * 500_000]
        job_ids = [await queue.submit("echo", {"value": value}) for value in values]
        results = [(await queue.wait(job_id)).result for job_id in job_ids]
    assert [repr(result) for result in results] == [repr(value) for value in values]


@pytest.mark.slow
async def test_a_result_as_large_as_allowed_comes_back(fleet: Fleet) -> None:
    """Sixteen mebibytes of JSON, which ``jsonb`` would take apart and put together again."""
    value = "x" * (16 * 2**20 - 2)
    async with fleet.queue(max_payload_bytes=2**25) as queue:
        await fleet.worker(max_payload_bytes=2**25)
        record = await queue.wait(await queue.submit("echo", {"value": value}))
        assert (record.status, record.result == value) == (JobStatus.COMPLETED, True)
        larger = await queue.wait(await queue.submit("echo", {"value": value + "x"}))
    assert (larger.status, larger.error_type) == (JobStatus.FAILED, "ResultTooLargeError")


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\r\n\x1b[2J", "x" * 100_000])
async def test_errors_of_any_text_are_stored(fleet: Fleet, text: str) -> None:
    """What a handler raises fails its job and no other, whatever letters it has."""
    await fleet.worker()
    async with fleet.queue() as queue:
        failing = await queue.submit("fail_oddly", {"text": ascii(text)})
        record = await queue.wait(failing)
        other = await queue.wait(await queue.submit("echo"))
    assert record.status is JobStatus.FAILED
    assert record.error
    assert record.error_type
    assert other.status is JobStatus.COMPLETED


@pytest.mark.parametrize("column", ["result", "message", "metadata"])
async def test_a_value_that_the_server_refuses_fails_its_own_job(fleet: Fleet, column: str) -> None:
    """Of many that end in one statement, the one with that value is failed, and the rest are kept."""
    worker = await fleet.worker()
    async with fleet.queue() as queue, connected(fleet) as connection:
        await connection.execute(FAILS_FOR.format(name="refuse", column=column))
        values = ["sound"] * 5 + ["poison"] + ["sound"] * 4
        job_ids = [
            await queue.submit("together", {"value": value, "column": column}) for value in values
        ]
        await fleet.started(*job_ids)
        fleet.let_go(worker)
        records = [await queue.wait(job_id) for job_id in job_ids]
    others = [record for record, value in zip(records, values) if value == "sound"]
    assert {record.status for record in others} == {JobStatus.COMPLETED}
    assert records[5].status is JobStatus.FAILED
    assert "the server refuses its outcome: no such value" in str(records[5].error)
    assert {len(fleet.starts(job_id)) for job_id in job_ids} == {1}


async def test_a_row_of_the_engine_without_a_record_is_dropped(fleet: Fleet) -> None:
    """As after a restore of some tables: it hurts nothing, and is gone."""
    async with fleet.queue() as queue, connected(fleet) as connection:
        for _ in range(3):
            await queue.submit("echo")
        await connection.execute("DELETE FROM stoat_jobs.job")
        await fleet.worker()
        assert (await queue.wait(await queue.submit("echo"))).status is JobStatus.COMPLETED

        async def is_empty() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM stoat_jobs.pgqueuer")

        await until(is_empty)
    assert len(fleet.starts()) == 1


async def test_a_record_without_a_row_of_the_engine_is_found(fleet: Fleet) -> None:
    """A live record that nobody could ever run, pending or running, is swept up and ends."""
    lost = await fleet.worker(options=SHORT)
    async with fleet.queue(options=SHORT) as queue, connected(fleet) as connection:
        running = await queue.submit("hold")
        await fleet.started(running)
        lost.kill()
        pending = await queue.submit("echo")
        await connection.execute("DELETE FROM stoat_jobs.pgqueuer")
        worker = await fleet.worker(options=SHORT)
        fleet.let_go(worker)
        for job_id in (pending, running):
            assert (await queue.wait(job_id)).status.is_terminal


async def test_the_log_of_the_engine_does_not_grow(fleet: Fleet) -> None:
    """PgQueuer writes a row for each change of a job, for ever; here they are pruned."""
    await fleet.worker()
    async with fleet.queue() as queue, connected(fleet) as connection:
        for _ in range(3):
            job_ids = await queue.submit_many("number", [{"n": n} for n in range(200)])
            for job_id in job_ids:
                await queue.wait(job_id)

        async def is_empty() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM stoat_jobs.pgqueuer_log")

        await until(is_empty)


async def statements(connection: Any, seconds: float) -> int:
    """How many statements others make on this database in so many seconds."""
    seen: set[tuple[int, Any]] = set()
    before: set[tuple[int, Any]] = set()
    query = (
        "SELECT pid, query_start FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rows = {tuple(row) for row in await connection.fetch(query)}
        before = before or rows
        seen |= rows
        await asyncio.sleep(0.005)
    return len(seen - before)


async def test_an_idle_worker_asks_seldom(fleet: Fleet) -> None:
    """Three transactions in two seconds with the default lease: claims, and looks at old records."""
    await fleet.worker()
    async with fleet.queue() as queue, connected(fleet) as connection:
        await queue.wait(await queue.submit("echo"))

        async def is_calm() -> bool:
            before = await transactions(connection)
            await asyncio.sleep(20)
            return await transactions(connection) - before <= 32

        await until(is_calm)


async def transactions(connection: Any) -> int:
    """How many have ended on this database."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    number: int = await connection.fetchval(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database"
        " WHERE datname = current_database()"
    )
    return number
