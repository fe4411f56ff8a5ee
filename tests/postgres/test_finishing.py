"""How outcomes are written: batched, fenced, and never twice."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stoat_jobs import FinishedEvent, JobContext, JobHandlers, JobStatus, ResultTooLargeError
from stoat_jobs._postgres import reporting, telling
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.sql import Sql

from .queues import LIMIT, Gate, queue_on, rows_of, until


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.finished_jobs: list[FinishedEvent] = []

    def finished(self, event: FinishedEvent) -> None:
        self.finished_jobs.append(event)


class Between:
    """Does something before or after the first finish that a process writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetch = Connections.fetch_apart
        self.number = 0
        monkeypatch.setattr(Connections, "fetch_apart", self._wrapped())

    def _wrapped(self) -> Any:
        async def fetch(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
            if "is_cancel_known" not in sql or self.number:
                return await self.fetch(connections, sql, *args, **more)
            self.number += 1
            await self.before()
            rows = await self.fetch(connections, sql, *args, **more)
            await self.after()
            return rows

        return fetch

    async def before(self) -> None: ...

    async def after(self) -> None: ...


def returning(value: Any = "done") -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> Any:
        return value

    return handlers


async def test_a_cancel_that_was_accepted_before_the_commit_stands(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel that comes after the handler's end makes the job cancelled, and is told once."""
    between, seen = Between(monkeypatch), Seen()
    async with (
        queue_on(url, returning("part"), [seen]) as worker,
        queue_on(url, returning(), options={"worker": False}) as other,
    ):
        answers = []

        async def cancel() -> None:
            (job,) = await other.list_jobs()
            answers.append(await other.cancel(job.job_id))

        monkeypatch.setattr(between, "before", cancel)
        record = await worker.wait(await worker.submit("work"))
        assert record == await other.get_result(record.job_id)
    assert answers == [True]
    assert (record.status, record.result) == (JobStatus.CANCELLED, "part")
    assert (record.error, record.error_type) == ("cancelled on request", "Cancelled")
    assert [event.record.status for event in seen.finished_jobs] == [JobStatus.CANCELLED]


async def test_an_outcome_whose_answer_is_lost_is_told_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit succeeds and its answer does not arrive: the record stays, observers hear once."""
    between, seen = Between(monkeypatch), Seen()

    async def lose() -> None:
        raise ConnectionResetError("the answer is lost")

    monkeypatch.setattr(between, "after", lose)
    async with queue_on(url, returning(), [seen]) as queue:
        first = await queue.wait(await queue.submit("work"))
        await queue.wait(await queue.submit("work"))
    assert first.status is JobStatus.COMPLETED
    told = [event.record.job_id for event in seen.finished_jobs]
    assert told.count(first.job_id) == 1
    assert len(told) == 2


OWNER_CHANGES = (
    "UPDATE stoat_jobs.pgqueuer SET queue_manager_id = gen_random_uuid(),"
    " heartbeat = now() + interval '1 hour' WHERE id = (SELECT min(seq) FROM stoat_jobs.job)"
)
IS_DELIVERED_AGAIN = (
    "UPDATE stoat_jobs.job SET delivery = delivery + 1"
    " WHERE seq = (SELECT min(seq) FROM stoat_jobs.job)"
)


@pytest.mark.parametrize(
    "changes",
    [[OWNER_CHANGES], [IS_DELIVERED_AGAIN], [OWNER_CHANGES, IS_DELIVERED_AGAIN]],
    ids=["owner", "delivery", "both"],
)
async def test_a_job_that_others_have_taken_is_left_to_them(
    url: str, monkeypatch: pytest.MonkeyPatch, changes: list[str]
) -> None:
    """An outcome of an owner that lost its job changes nothing, and no observer is told."""
    between, seen = Between(monkeypatch), Seen()

    async def take() -> None:
        for change in changes:
            await rows_of(url, change)

    monkeypatch.setattr(between, "before", take)
    async with queue_on(url, returning(), [seen]) as queue:
        job_id = await queue.submit("work")
        other = await queue.submit("work", key="other")
        await queue.wait(other)
        record = await queue.get_result(job_id)
    assert (record.status, record.result) == (JobStatus.RUNNING, None)
    assert job_id not in [event.record.job_id for event in seen.finished_jobs]


async def test_what_others_have_buried_is_not_told_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who buries a job tells how it ended; its worker wakes up with an outcome of the same kind."""
    between, seen, handlers = Between(monkeypatch), Seen(), JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> None:
        raise ValueError("of its own")

    async def bury() -> None:
        await rows_of(url, OWNER_CHANGES)
        (row,) = await rows_of(url, "SELECT seq FROM stoat_jobs.job")
        await rows_of(url, Sql("stoat_jobs").bury, [row["seq"]])

    monkeypatch.setattr(between, "before", bury)
    async with queue_on(url, handlers, [seen]) as queue:
        record = await queue.wait(await queue.submit("work"))
        monkeypatch.undo()
        last = await queue.wait(await queue.submit("work"))  # so the first outcome was looked at
    assert (record.status, record.error_type) == (JobStatus.FAILED, "WorkerLost")
    assert [event.record.job_id for event in seen.finished_jobs] == [last.job_id]


async def test_a_report_of_an_old_delivery_changes_nothing(url: str) -> None:
    """The progress that a worker reports of a job that it has lost is not shown."""
    handlers, gate, went_on = JobHandlers(), Gate(), asyncio.Event()

    @handlers.job
    async def work(ctx: JobContext, n: int) -> None:
        await gate.wait(n)
        ctx.set_progress(0.5)
        await went_on.wait()

    async with queue_on(url, handlers) as queue:
        lost, other = await queue.submit_many("work", [{"n": n} for n in range(2)])
        await gate.until(2)
        await rows_of(url, IS_DELIVERED_AGAIN)
        gate.opened.set()

        async def is_shown() -> bool:
            return (await queue.get_result(other)).progress == 0.5

        await until(is_shown)  # in the same statement
        assert (await queue.get_result(lost)).progress is None
        went_on.set()


async def test_many_outcomes_share_statements(url: str) -> None:
    """A thousand jobs that end at once are written by far fewer transactions."""
    handlers, gate = JobHandlers(), Gate()

    @handlers.job
    async def hold(ctx: JobContext, n: int) -> int:
        await gate.wait(n)
        return n

    async with queue_on(url, handlers, concurrency=1_000) as queue:
        ids = await queue.submit_many("hold", [{"n": n} for n in range(1_000)])
        await gate.until(1_000)
        before = await _commits(url)
        gate.opened.set()
        assert (await queue.wait(ids[-1])).result == 999
        results = [(await queue.wait(job_id)).result for job_id in ids[:3]]
        assert results == [0, 1, 2]
        async with asyncio.timeout(30):
            while await queue.list_jobs(status="running", limit=1):
                await asyncio.sleep(0.05)
    assert await _commits(url) - before < 300


async def test_an_idle_worker_writes_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No outcome waits for others, nor for the pause of reports, nor for a look."""
    monkeypatch.setattr(telling, "_POLL", 3600.0)
    monkeypatch.setattr(reporting, "_PAUSE", 3600.0)
    async with (
        asyncio.timeout(LIMIT),
        queue_on(url, returning()),
        queue_on(url, returning(), options={"worker": False}) as other,
    ):
        for _ in range(20):
            assert (await other.wait(await other.submit("work"))).result == "done"


async def test_a_large_result_on_a_slow_link_holds_up_no_other(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a second more for each megabyte, and while it fails, others are written."""
    fetch, limits = Connections.fetch_apart, list[float]()
    passes = asyncio.Event()

    async def slow(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        if "is_cancel_known" in sql and any(len(each or "") > 9_000_000 for each in args[4]):
            limits.append(more["seconds"])
            if not passes.is_set():
                raise TimeoutError("the link is slow")
        return await fetch(connections, sql, *args, **more)

    handlers = JobHandlers()

    @handlers.job
    async def make(ctx: JobContext, size: int) -> str:
        return "x" * size

    monkeypatch.setattr(Connections, "fetch_apart", slow)
    async with queue_on(url, handlers) as queue, asyncio.timeout(LIMIT):
        large = await queue.submit("make", {"size": 10_000_000})
        while not limits:
            await asyncio.sleep(0.01)
        for _ in range(3):
            small = await queue.submit("make", {"size": 1})
            assert (await queue.wait(small)).status is JobStatus.COMPLETED
        passes.set()
        assert (await queue.wait(large)).status is JobStatus.COMPLETED
    assert min(limits) > 10


async def _commits(url: str) -> int:
    (row,) = await rows_of(
        url,
        "SELECT pg_stat_force_next_flush() IS NULL, xact_commit FROM pg_stat_database"
        " WHERE datname = current_database()"
        if await _has_flush(url)
        else "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()",
    )
    return int(row["xact_commit"])


async def _has_flush(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return connection.get_server_version().major >= 15
    finally:
        await connection.close()


async def test_a_result_that_is_too_large_fails_its_job(url: str) -> None:
    """Over ``max_result_bytes`` the job is failed by name, and the limit itself fits."""
    async with queue_on(url, returning("x" * 98), max_result_bytes=100) as queue:
        assert (await queue.wait(await queue.submit("work"))).result == "x" * 98
    async with queue_on(url, returning("x" * 99), max_result_bytes=100) as queue:
        record = await queue.wait(await queue.submit("work"))
    assert (record.status, record.error_type) == (JobStatus.FAILED, ResultTooLargeError.__name__)


@pytest.mark.parametrize(
    "value", [1e22, -0.0, 10**30, "nul\0 in it", {"a": [None, True]}, 2**53 + 1, 0.1]
)
async def test_results_come_back_as_they_were(url: str, value: Any) -> None:
    """Numbers keep their type and their value, and U+0000 its place, over the server and back."""
    async with queue_on(url, returning(value)) as queue:
        job_id = await queue.submit("work")
        await queue.wait(job_id)
        read = (await queue.get_result(job_id)).result
    assert (type(read), repr(read)) == (type(value), repr(value))
