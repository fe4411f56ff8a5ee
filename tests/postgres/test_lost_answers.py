"""What a caller is told when the server did what it was asked, and the answer was lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import (
    BackendError,
    FinishedEvent,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobStatus,
    RemovedEvent,
)
from stoat_jobs._postgres.connections import Connections

from .queues import Gate, queue_on

SUBMITS = {"worker": False}


def handlers_of(gate: Gate | None = None) -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> None:
        if gate is not None:
            await gate.wait(ctx.job_id)

    return handlers


class Told:
    """What an observer is told."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.gone: list[str] = []

    def finished(self, event: FinishedEvent) -> None:
        self.ended.append(event.record.job_id)

    def removed(self, event: RemovedEvent) -> None:
        self.gone.append(event.record.job_id)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The next answer to a statement that begins or goes on with each of these texts is lost."""
    fetch = Connections.fetch
    texts: list[str] = []

    async def losing(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        rows = await fetch(connections, sql, *args, **more)
        for text in texts:
            if text in sql:
                texts.remove(text)
                raise ConnectionResetError("the answer is lost")
        return rows

    monkeypatch.setattr(Connections, "fetch", losing)
    return texts


CANCEL = "cancel_requested = true"


async def test_a_cancel_of_a_waiting_job(url: str, lost: list[str]) -> None:
    """It returns True, and observers are told once; the next one returns False."""
    told = Told()
    async with queue_on(url, handlers_of(), [told], options=SUBMITS) as queue:
        job_id = await queue.submit("work")
        waiting = asyncio.ensure_future(queue.wait(job_id))
        lost.append(CANCEL)
        assert await queue.cancel(job_id)
        assert not lost
        assert told.ended == [job_id]
        assert (await waiting).status is JobStatus.CANCELLED
        assert not await queue.cancel(job_id)


async def test_a_cancel_of_a_running_job(url: str, lost: list[str]) -> None:
    """It returns True, also if the job has ended between the two tries."""
    gate, told = Gate(), Told()
    async with queue_on(url, handlers_of(gate), [told]) as queue:
        job_id = await queue.submit("work")
        await gate.until(1)
        lost.append(CANCEL)
        assert await queue.cancel(job_id)
        assert not lost
        assert (await queue.wait(job_id)).status is JobStatus.CANCELLED
    assert told.ended == [job_id]


async def test_a_cancel_of_a_finished_job(url: str, lost: list[str]) -> None:
    """It returns False: a job that completed was not cancelled by it."""
    async with queue_on(url, handlers_of()) as queue:
        job_id = await queue.submit("work")
        await queue.wait(job_id)
        lost.append(CANCEL)
        assert not await queue.cancel(job_id)
        assert not lost


async def test_a_cancel_of_all(url: str, lost: list[str]) -> None:
    """It counts what the lost try has cancelled, and tells of each job once."""
    told = Told()
    async with queue_on(url, handlers_of(), [told], options=SUBMITS) as queue:
        job_ids = await queue.submit_many("work", [{} for _ in range(5)])
        assert await queue.cancel(job_ids[0])
        lost.append(CANCEL)
        assert await queue.cancel_all() == 4
        assert not lost
    assert sorted(told.ended) == sorted(job_ids)


async def test_a_delete(url: str, lost: list[str]) -> None:
    """It returns True, and observers are told what has gone; the next one finds nothing."""
    told = Told()
    async with queue_on(url, handlers_of(), [told], options=SUBMITS) as queue:
        job_id, live = await queue.submit_many("work", [{}, {}])
        assert await queue.cancel(job_id)
        lost.append("DELETE")
        assert await queue.delete(job_id)
        assert not lost
        assert told.gone == [job_id]
        with pytest.raises(JobNotFoundError):
            await queue.delete(job_id)
        assert not await queue.delete(live)


@pytest.mark.parametrize("timeout", [0, 0.5])
async def test_a_wait_in_an_outage_is_as_short_as_it_is_asked_to_be(
    url: str, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not try for longer than it may take, and says that the server is away.

    A `TimeoutError` would mean that the job has not finished.
    """
    async with queue_on(url, handlers_of(), options=SUBMITS | {"lease": 3600.0}) as queue:
        job_id = await queue.submit("work")

        async def silent(*args: Any, **more: Any) -> Any:
            await asyncio.sleep(3600)

        monkeypatch.setattr(Connections, "fetch", silent)
        async with asyncio.timeout(60):
            with pytest.raises(BackendError, match="cannot ask its server"):
                await queue.wait(job_id, timeout=timeout)
        monkeypatch.undo()
        with pytest.raises(TimeoutError, match="is pending"):
            await queue.wait(job_id, timeout=timeout)
