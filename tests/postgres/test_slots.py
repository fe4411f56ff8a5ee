"""A free slot is used as soon as there is a job for it, though nothing may tell of that job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from stoat_jobs import JobContext, JobHandlers
from stoat_jobs._postgres.claims import Claims
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.schema import jobs_channel
from stoat_jobs._postgres.sql import Sql

from .queues import LIMIT, Gate, queue_on, rows_of, until

# Without being told, a worker looks each third of a lease.
SELDOM = {"lease": 3600.0}


def holding(gate: Gate, **limits: int | None) -> JobHandlers:
    handlers = JobHandlers()

    async def hold(ctx: JobContext, /, n: int = 0) -> None:
        await gate.wait(n)

    for name, concurrency in limits.items():
        handlers.register(name, hold, concurrency=concurrency)
    return handlers


async def test_a_backlog_of_a_full_type_leaves_the_slots_to_others(url: str) -> None:
    """Many older jobs of types that are full do not keep a later one of another type waiting."""
    gate, narrow = Gate(), [f"narrow{number}" for number in range(8)]
    handlers = holding(gate, **dict.fromkeys(narrow, 1), wide=None)
    async with queue_on(url, handlers, options={"worker": False}) as submitter:
        for name in narrow:
            await submitter.submit_many(name, [{"n": 1}] * 50)
        await submitter.submit("wide", {"n": 2})
        async with queue_on(url, handlers, options=SELDOM):
            await gate.until(9)
            assert sorted(gate.arrived) == [1] * 8 + [2]


async def test_what_becomes_due_during_a_claim_is_not_missed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim and the look for the next one that is due mean the same moment."""
    dequeue, gate = Claims._dequeue, Gate()

    async def slowly(self: Claims, *args: Any) -> Any:
        rows = await dequeue(self, *args)
        await asyncio.sleep(0.6)
        return rows

    handlers = holding(gate, hold=None)
    async with (
        queue_on(url, handlers, options={"worker": False}) as submitter,
        queue_on(url, handlers, options=SELDOM) as worker,
    ):
        await submitter.submit("hold")
        await gate.until(1)

        async def waits() -> bool:
            return worker.side_task_ages()["claim"] == 0

        await until(waits)
        monkeypatch.setattr(Claims, "_dequeue", slowly)
        await submitter.submit("hold", delay=0.4)
        await gate.until(2)


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError])
async def test_who_loses_a_race_for_slots_looks_again_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Whether one was faster, or two took each other's: that is no failure."""
    dequeue, gate, left = Claims._dequeue, Gate(), [error("a race")]

    async def losing(self: Claims, *args: Any) -> Any:
        rows = await dequeue(self, *args)
        if rows and left:
            raise left.pop()
        return rows

    monkeypatch.setattr(Claims, "_dequeue", losing)
    async with queue_on(url, holding(gate, hold=None), options=SELDOM) as queue:
        await queue.submit("hold")
        await gate.until(1)
        assert queue._life is not None
        assert queue._life.worker is not None
        assert queue._life.worker._claims._contact_since is not None


async def test_what_is_put_back_is_told(url: str) -> None:
    """Other workers, which passed it over while it was locked, hear of it."""
    sql, heard = Sql("stoat_jobs"), asyncio.Queue[str]()
    gate = Gate()
    async with queue_on(url, holding(gate, hold=None), options={"worker": False}) as queue:
        job_id = await queue.submit("hold")
        (row,) = await rows_of(url, "SELECT id FROM stoat_jobs.pgqueuer")
        async with listening(url, heard):
            for statement in (sql.leave, sql.put_aside):
                await rows_of(url, statement, [row["id"]])
                letter, _, ids = (await asyncio.wait_for(heard.get(), LIMIT)).partition(":")
                assert (letter, job_id in ids or ids == str(row["id"])) == ("w", True)


@asynccontextmanager
async def listening(url: str, heard: asyncio.Queue[str]) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url)
    try:
        channel = jobs_channel("stoat_jobs")
        await connection.add_listener(channel, lambda *args: heard.put_nowait(args[-1]))
        yield
    finally:
        await connection.close()


class LostAnswer:
    """The first claim that gives something is committed, and its answer is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        claim, transaction = Claims._claim, Connections.transaction
        self.is_lost = self._has_some = False
        lost = self

        async def noted(self: Claims, connection: Any, free: int, room: Any, claimed: Any) -> None:
            await claim(self, connection, free, room, claimed)
            lost._has_some = bool(claimed.claims)

        @asynccontextmanager
        async def losing(self: Connections, *args: Any, **more: Any) -> AsyncIterator[Any]:
            async with transaction(self, *args, **more) as connection:
                yield connection
            if lost._has_some and not lost.is_lost:
                lost.is_lost = True
                raise ConnectionResetError("the answer is lost")

        monkeypatch.setattr(Claims, "_claim", noted)
        monkeypatch.setattr(Connections, "transaction", losing)


async def test_a_claim_whose_answer_is_lost_is_no_loss(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker gives back at once what it does not know of, and nothing counts as lost."""
    lost, gate = LostAnswer(monkeypatch), Gate()
    async with queue_on(url, holding(gate, hold=None), options=SELDOM) as queue:
        await queue.submit("hold")
        await gate.until(1)
        assert lost.is_lost
        (row,) = await rows_of(url, "SELECT losses, delivery, status FROM stoat_jobs.job")
        assert tuple(row) == (0, 2, "running")
