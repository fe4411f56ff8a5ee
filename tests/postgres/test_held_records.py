"""Other transactions hold records, or all of the pool: outcomes are written all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from stoat_jobs import JobContext, JobHandlers, JobNotKeptError, JobStatus
from stoat_jobs._postgres.claims import Claim
from stoat_jobs._postgres.finishing import GIVEN_BACK, Finishing
from stoat_jobs._postgres.sql import Sql

from .queues import Gate, queue_on, rows_of, until


def holding(gate: Gate) -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def hold(ctx: JobContext, n: int) -> int:
        await gate.wait(n)
        return n

    return handlers


@asynccontextmanager
async def somebody(url: str) -> AsyncIterator[Any]:
    """A connection in a transaction that is rolled back at the end."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            yield connection
            raise asyncio.CancelledError  # so nothing of it stays
    except asyncio.CancelledError:
        pass
    finally:
        await connection.close()


def status_is(url: str, job_id: str, status: str) -> Any:
    async def look() -> bool:
        sql = "SELECT status FROM stoat_jobs.job WHERE id = $1::uuid"
        (row,) = await rows_of(url, sql, job_id)
        return bool(row["status"] == status)

    return look


@pytest.mark.parametrize("table", ["job", "pgqueuer"])
async def test_a_record_that_others_hold_holds_up_no_other(url: str, table: str) -> None:
    """Its outcome is written when their transaction ends; all others at once, also later ones."""
    gate = Gate()
    column = {"job": "seq", "pgqueuer": "id"}[table]
    async with queue_on(url, holding(gate), options={"lease": 2.0}) as queue:
        held, *others = await queue.submit_many("hold", [{"n": n} for n in range(5)])
        await gate.until(5)
        async with somebody(url) as connection:
            number = "(SELECT seq FROM stoat_jobs.job WHERE id = $1::uuid)"
            lock = f"SELECT FROM stoat_jobs.{table} WHERE {column} = {number} FOR UPDATE"
            await connection.fetch(lock, held)
            gate.opened.set()
            others.append(await queue.submit("hold", {"n": 9}))
            for job_id in others:
                await until(status_is(url, job_id, "completed"))
            assert (await queue.get_result(held)).status is JobStatus.RUNNING
        record = await queue.wait(held)
        assert (record.status, record.result) == (JobStatus.COMPLETED, 0)
        assert gate.arrived.count(0) == 1


async def test_outcomes_have_a_connection_of_their_own(url: str) -> None:
    """Submits that wait for others' transactions may have the whole pool."""
    gate = Gate()
    options = {"lease": 20.0, "pool_size": 2}
    async with queue_on(url, holding(gate), options=options) as queue:
        job_id = await queue.submit("hold", {"n": 1})
        await gate.until(1)
        async with somebody(url) as connection:
            for key in ("a", "b"):
                await queue.submit("hold", {"n": 2}, delay=3600, key=key, connection=connection)
            waiting = [
                asyncio.ensure_future(queue.submit("hold", {"n": 3}, delay=3600, key=key))
                for key in ("a", "b")
            ]

            async def are_blocked() -> bool:
                sql = (
                    "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                )
                return bool((await rows_of(url, sql))[0][0])

            await until(are_blocked)
            gate.opened.set()
            await until(status_is(url, job_id, "completed"))
            assert not any(each.done() for each in waiting)
        for each in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(each, str | JobNotKeptError)


class Endless:
    """A server that takes every outcome, of jobs that end one after the other for ever."""

    def __init__(self) -> None:
        self.statements = 0
        self.finishing = Finishing(self, Sql("stoat_jobs"), uuid4(), self.over)  # type: ignore[arg-type]
        self.number = 0

    def end(self) -> None:
        self.number += 1
        row = {
            "seq": self.number,
            "id": uuid4(),
            "type": "endless",
            "delivery": 1,
            "timeout": 1.0,
            "metadata": "{}",
        }
        self.finishing.add(Claim(row, None), GIVEN_BACK)  # type: ignore[arg-type]

    def seconds_for(self, size: int) -> float:
        return 1.0

    async def fetch_apart(self, sql: str, *args: Any, seconds: float = 1.0) -> Any:
        self.statements += 1
        return [{"seq": number} for number in (args[1] if args else ())]

    def over(self, claim: Claim, row: object) -> None:
        self.end()


async def test_under_load_a_step_writes_one_batch() -> None:
    """However many jobs end meanwhile: else its age would grow, though it is well."""
    endless = Endless()
    endless.end()
    assert await endless.finishing._write_some() == 0
    assert (endless.statements, len(endless.finishing)) == (2, 1)  # one connects
