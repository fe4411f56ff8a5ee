"""What the kit promises of time, by the server's clock: delays, retention, times and durations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from stoat_jobs import JobNotFoundError, JobObserver, JobStatus
from stoat_jobs._postgres import keeper

from ..support.postgres.started import Held, started, until

# Seconds: short for whoever waits for the test, and long for a server on this machine.
SHORT = 1.0


class Seen(JobObserver):
    """Keeps the events of ends and of removals."""

    def __init__(self) -> None:
        self.ends: list[Any] = []
        self.removals: list[tuple[str, str]] = []

    def finished(self, event: Any) -> None:
        self.ends.append(event)

    def removed(self, event: Any) -> None:
        self.removals.append((event.job_id, event.reason))


async def is_gone(queue: Any, job_id: str) -> bool:
    try:
        await queue.get_result(job_id)
    except JobNotFoundError:
        return True
    return False


@pytest.fixture
def often_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are removed soon, so that a test need not wait for it."""
    monkeypatch.setattr(keeper, "_PRUNE_EVERY", 0.1)


async def server_time(url: str) -> datetime:
    connection = await asyncpg.connect(url)
    try:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now
    finally:
        await connection.close()


# Retention.


async def test_a_record_is_read_for_result_ttl_counted_from_its_finish(url: str) -> None:
    """A finished record is there before ``result_ttl`` is over, and no reader sees it after that.

    The row may still be there.
    """
    held = Held()
    async with started(url, held.handlers, result_ttl=SHORT) as queue:
        job_id = await queue.submit("hold")
        await until(lambda: held.ran)
        await asyncio.sleep(SHORT)
        assert await queue.get_status(job_id) is JobStatus.RUNNING
        held.gate.set()
        done = await queue.wait(job_id)
        assert await queue.get_result(job_id) == done
        await until(lambda: is_gone(queue, job_id))
        assert done.finished_at is not None
        assert await server_time(url) - done.finished_at >= timedelta(seconds=SHORT)
        assert list(await queue.list_jobs()) == []
        assert not any((await queue.stats()).by_status.values())
        assert (await queue.stats()).by_type == {}


@pytest.mark.usefixtures("often_pruned")
async def test_one_process_tells_once_that_a_record_is_too_old(url: str) -> None:
    """``removed`` is told in one of the processes, once for each record, with the reason *age*."""
    held, seen = Held(), Seen()
    async with (
        started(url, held.handlers, [seen], result_ttl=0.2) as first,
        started(url, held.handlers, [seen], result_ttl=0.2),
    ):
        ids = await first.submit_many("go", [{"n": number} for number in range(20)])
        await until(lambda: len(seen.removals) >= 20)
        await asyncio.sleep(0.5)  # in which none is told again
        assert sorted(seen.removals) == sorted((job_id, "age") for job_id in ids)


async def test_a_kept_key_is_free_when_its_record_is_too_old(url: str) -> None:
    """A kept key is held as long as the record is, and the next submit has a new job."""
    held = Held()
    async with started(url, held.handlers, result_ttl=SHORT) as queue:
        options: dict[str, Any] = {"key": "k", "unique": "kept"}
        first = await queue.submit("go", {}, **options)
        done = await queue.wait(first)
        if done.finished_at and await server_time(url) < done.finished_at + timedelta(seconds=0.5):
            assert await queue.submit("go", {}, **options) == first
        await until(lambda: is_gone(queue, first))
        assert await queue.submit("go", {}, **options) != first


# Times.


async def test_times_are_as_far_apart_as_a_job_waited_and_ran(url: str) -> None:
    """Records, observers and figures have the time that passed."""
    held, seen = Held(), Seen()
    async with started(url, held.handlers, [seen], concurrency=1) as queue:
        blocking = await queue.submit("hold")
        job_id = await queue.submit("hold")
        await until(lambda: held.ran)
        await asyncio.sleep(0.3)
        held.gate.set()
        await queue.wait(blocking)
        waited = await queue.wait(job_id)
        record = await queue.get_result(blocking)
        assert record.started_at is not None
        assert record.finished_at is not None
        assert record.finished_at - record.started_at >= timedelta(seconds=0.25)
        assert waited.started_at is not None
        assert waited.started_at - waited.submitted_at >= timedelta(seconds=0.25)
        assert seen.ends[0].duration_s >= 0.25
        figures = (await queue.stats()).by_type["hold"]
        assert figures.duration_p95_s is not None
        assert figures.duration_p95_s >= 0.25
        assert figures.wait_p95_s is not None
        assert figures.wait_p95_s >= 0.25


@pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["back", "forward"])
async def test_a_workers_wall_clock_does_not_matter(
    url: str, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times and ages are the server's, whatever the clock of a worker says."""
    held = Held()
    wall_clock = time.time
    before = await server_time(url)
    monkeypatch.setattr(time, "time", lambda: wall_clock() + step)
    async with started(url, held.handlers, result_ttl=600.0) as queue:
        done = await queue.wait(await queue.submit("go", {}, delay=0.1))
        own = (done.submitted_at, done.not_before, done.started_at, done.finished_at)
        moments = [each for each in own if each is not None]
        times = [before, *moments, await server_time(url)]
        assert times == sorted(times)
        assert len(moments) == 4
        assert await queue.get_result(done.job_id) == done


# Delays.


async def test_a_delayed_job_starts_when_its_delay_has_passed(url: str) -> None:
    """It is pending before, while slots are free, and starts then."""
    held = Held()
    async with started(url, held.handlers) as queue:
        job_id = await queue.submit("go", {}, delay=SHORT)
        record = await queue.get_result(job_id)
        assert record.not_before is not None
        waits = record.not_before - record.submitted_at
        assert waits.total_seconds() == pytest.approx(SHORT)
        assert (await queue.wait(await queue.submit("go"))).status is JobStatus.COMPLETED
        done = await queue.wait(job_id)
        assert done.started_at is not None
        assert done.started_at >= record.not_before


async def test_of_the_due_the_one_that_is_due_longest_starts_first(url: str) -> None:
    """Jobs start in the order of their due times, a job without a delay by its submission."""
    held = Held()
    async with started(url, held.handlers, concurrency=1) as queue:
        await queue.submit("hold", {"n": 0})
        await until(lambda: held.ran)
        delays = [2.0, 1.0, None]
        ids = [await queue.submit("go", {"n": n}, delay=each) for n, each in enumerate(delays)]
        records = [await queue.get_result(job_id) for job_id in ids]
        due = [record.not_before or record.submitted_at for record in records]
        await until(is_later(url, max(due)))
        held.gate.set()
        for job_id in ids:
            await queue.wait(job_id)
        in_order = sorted(range(3), key=due.__getitem__)
        assert [payload["n"] for payload in held.ran[1:]] == in_order
        assert due[1] < due[0]


def is_later(url: str, moment: datetime) -> Callable[[], Any]:
    async def look() -> bool:
        return await server_time(url) > moment

    return look


async def test_a_delayed_job_that_was_cancelled_never_starts(url: str) -> None:
    """It is cancelled at once, and the next delayed job starts on time."""
    held = Held()
    async with started(url, held.handlers) as queue:
        gone = await queue.submit("go", {"n": 1}, delay=0.3)
        other = await queue.submit("go", {"n": 2}, delay=0.6)
        assert await queue.cancel(gone) is True
        assert (await queue.get_result(gone)).status is JobStatus.CANCELLED
        await queue.wait(other)
        assert held.ran == [{"n": 2}]


async def test_many_delayed_jobs_start_in_their_order(url: str) -> None:
    """What was submitted together becomes due together, and starts in the order of payloads."""
    held = Held()
    async with started(url, held.handlers, concurrency=1) as queue:
        ids = await queue.submit_many("go", [{"n": number} for number in range(5)], delay=0.5)
        due = [(await queue.get_result(job_id)).not_before for job_id in ids]
        done = await queue.wait(ids[-1])
        assert [payload["n"] for payload in held.ran] == list(range(5))
        assert done.started_at is not None
        assert done.started_at >= max(each for each in due if each)


@pytest.mark.parametrize("life", ["next", "beside"])
async def test_a_delayed_job_runs_in_another_queue_when_it_is_due(url: str, life: str) -> None:
    """The queue that accepted it need not be there: another starts it, and not before."""
    submitter, worker = Held(), Held()
    options = {"worker": False} if life == "beside" else {}
    async with started(url, submitter.handlers, options=options) as first:
        job_id = await first.submit("go", {"n": 1}, delay=SHORT)
        before = await first.get_result(job_id)
        if life == "beside":
            async with started(url, worker.handlers) as second:
                done = await second.wait(job_id)
    if life == "next":
        async with started(url, worker.handlers) as second:
            done = await second.wait(job_id)
    assert (worker.ran, submitter.ran) == ([{"n": 1}], [])
    assert done.not_before == before.not_before
    assert done.started_at is not None
    assert done.not_before is not None
    assert done.started_at >= done.not_before > done.submitted_at.astimezone(UTC)
