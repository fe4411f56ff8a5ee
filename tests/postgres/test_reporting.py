"""Progress and metadata of running jobs: written in time, or with the next ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from stoat_jobs import JobContext, JobHandlers, JobStatus
from stoat_jobs._postgres import reporting
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.schema import install
from stoat_jobs._postgres.sql import Sql
from stoat_jobs.postgres import PostgresJobQueue

from .queues import Gate, queue_on, rows_of, until

SCHEMA = "stoat_jobs"
SQL = Sql(SCHEMA)
OWNER = uuid4()

RUNNING = f"""
WITH jobs AS (
    INSERT INTO {SCHEMA}.job (id, seq, type, metadata, is_kept, timeout, keep_payload, status,
        delivery, started_at)
    SELECT gen_random_uuid(), nextval('{SCHEMA}.pgqueuer_id_seq'), 'work', '{{}}', false, 300,
        false, 'running', 1, now()
    FROM generate_series(1, $1::int) RETURNING seq
)
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status, queue_manager_id, heartbeat)
SELECT seq, 0, 'work', 'picked', $2::uuid, now() FROM jobs
"""

REFUSES = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.message = 'poison' THEN
        RAISE EXCEPTION 'no such value' USING ERRCODE = '22P05';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON stoat_jobs.job FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def _do_nothing() -> None: ...


class Reports:
    """The writes of reports in this process; *before* may stop one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetch = Connections.fetch
        self.number = 0
        self.before: Callable[[], Awaitable[None]] = _do_nothing
        monkeypatch.setattr(Connections, "fetch", self._wrapped())

    def _wrapped(self) -> Any:
        async def fetch(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
            if sql == SQL.report:
                self.number += 1
                await self.before()
            return await self.fetch(connections, sql, *args, **more)

        return fetch


def reporting_handlers(told: Gate, end: Gate) -> JobHandlers:
    """A handler that reports once when the first gate opens, and ends at the second."""
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext, message: str = "half") -> None:
        await told.wait(message)
        ctx.set_progress(0.5, message)
        await end.wait(message)

    return handlers


async def test_a_report_whose_write_failed_is_written_later(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that reports once, while the server is away, is seen to have done so."""
    reports, told, end = Reports(monkeypatch), Gate(), Gate()

    async def cut() -> None:
        if reports.number < 3:
            raise ConnectionResetError("the server is away")

    reports.before = cut
    async with queue_on(url, reporting_handlers(told, end)) as queue:
        job_id = await queue.submit("work")
        told.opened.set()

        async def is_seen() -> bool:
            return (await queue.get_result(job_id)).progress == 0.5

        await until(is_seen)
        end.opened.set()
        assert (await queue.wait(job_id)).status is JobStatus.COMPLETED


async def test_the_report_of_a_job_that_is_over_is_not_written_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its outcome has overtaken meanwhile is forgotten, though its write had failed."""
    reports, told, end = Reports(monkeypatch), Gate(), Gate()

    async with queue_on(url, reporting_handlers(told, end)) as queue:
        job_id = await queue.submit("work")

        async def finish_first() -> None:
            end.opened.set()
            await queue.wait(job_id)
            raise ConnectionResetError("the server is away")

        reports.before = finish_first
        told.opened.set()
        assert (await queue.wait(job_id)).progress == 0.5
        await until(lambda: _is_idle(queue))
    assert reports.number == 1


async def _is_idle(queue: PostgresJobQueue) -> bool:
    return queue.side_task_ages()["report"] == 0.0


async def test_a_report_that_the_server_refuses_keeps_no_other(url: str) -> None:
    """The others of its statement are seen; its own job fails when it ends."""
    told, end = Gate(), Gate()
    async with queue_on(url, reporting_handlers(told, end)) as queue:
        connection = await asyncpg.connect(url)
        await connection.execute(REFUSES)
        await connection.close()
        texts = ["first", "poison", "last"]
        job_ids = [await queue.submit("work", {"message": text}) for text in texts]
        await told.until(3)
        told.opened.set()

        async def are_seen() -> bool:
            return [(await queue.get_result(each)).message for each in job_ids] == [
                "first",
                None,
                "last",
            ]

        await until(are_seen)
        end.opened.set()
        statuses = [(await queue.wait(each)).status for each in job_ids]
    assert statuses == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED]


async def test_all_that_run_are_written_before_the_pause(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more jobs than one statement has, the last is not written later than the first."""
    monkeypatch.setattr(reporting, "_PAUSE", 3600.0)
    reports, told, end = Reports(monkeypatch), Gate(), Gate()
    async with queue_on(url, reporting_handlers(told, end), concurrency=450) as queue:
        await queue.submit_many("work", [{}] * 450)
        await told.until(450)
        told.opened.set()

        async def are_seen() -> bool:
            sql = "SELECT count(*) AS number FROM stoat_jobs.job WHERE progress = 0.5"
            return [row["number"] for row in await rows_of(url, sql)] == [450]

        await until(are_seen)
        end.opened.set()
    assert reports.number == 3


@pytest.fixture
async def running(url: str) -> AsyncIterator[list[tuple[UUID, int]]]:
    """The ids and places of many jobs that a worker runs."""
    connection = await asyncpg.connect(url)
    await install(connection, SCHEMA)
    await connection.execute(RUNNING.replace("$1", "100").replace("$2", f"'{OWNER}'"))
    rows = await connection.fetch(f"SELECT id, seq FROM {SCHEMA}.job ORDER BY seq")
    await connection.close()
    yield [(row["id"], row["seq"]) for row in rows]


def report(numbers: list[int], *, owner: UUID = OWNER, delivery: int = 1) -> tuple[Any, ...]:
    size = len(numbers)
    columns = ([delivery] * size, [0.5] * size, ["half"] * size, [0] * size, ["{}"] * size)
    return (SQL.report, owner, numbers, *columns)


async def test_reports_and_cancels_do_not_wait_for_each_other(
    url: str, running: list[tuple[UUID, int]]
) -> None:
    """Writers of the same jobs in opposite orders: the server finds no deadlock."""
    ids, numbers = [each for each, _ in running], [seq for _, seq in running]
    told = (SQL.cancel, ids, "cancelled")
    writes = [report(numbers), report(numbers[::-1]), told]

    async def write(sql: str, *args: Any) -> None:
        connection = await asyncpg.connect(url)
        try:
            for _ in range(60):
                await connection.execute("BEGIN")
                await connection.fetch(sql, *args)
                await connection.execute("COMMIT")
        finally:
            await connection.close()

    await asyncio.gather(*(write(*each) for each in writes))


@pytest.mark.parametrize("stale", [{"owner": uuid4()}, {"delivery": 0}])
async def test_a_stale_report_changes_nothing(
    url: str, running: list[tuple[UUID, int]], stale: dict[str, Any]
) -> None:
    """Neither that of a worker that lost the job, nor that of an earlier delivery."""
    numbers = [seq for _, seq in running]
    seen = f"SELECT FROM {SCHEMA}.job WHERE progress IS NOT NULL"
    await rows_of(url, *report(numbers, **stale))
    assert not await rows_of(url, seen)
    await rows_of(url, *report(numbers))
    assert len(await rows_of(url, seen)) == len(numbers)
