"""Workers that are killed, stopped, or sent away: what they ran is run again, and ends once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stoat_jobs import JobResult, JobStatus

from ...support.fleet.fleet import Fleet, until

SHORT = {"lease": 2.0}
NEVER = {"lease": 3600.0}
"""A lease that does not end in a test: what runs again was given back."""

REDELIVERED = 10.0
"""Seconds in which a lost worker's jobs run again by default, as is promised."""


@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.slow)])
async def test_all_jobs_of_a_killed_worker_run_again_within_ten_seconds__fault_43(
    fleet: Fleet, loop: str
) -> None:
    """All ten are started once more by the worker that is left, in the time that is promised."""
    arguments = ["--uvloop"] if loop == "uvloop" else []
    lost = await fleet.worker(*arguments)
    async with fleet.queue() as queue:
        job_ids = [await queue.submit("hold") for _ in range(10)]
        await fleet.started(*job_ids)
        other = await fleet.worker(*arguments)
        fleet.let_go(other)
        lost.kill()
        killed_at = time.monotonic()
        await fleet.started(*job_ids, times=2)
        last = max(start["at"] for start in fleet.starts())
        assert last - killed_at <= REDELIVERED
        records = [await queue.wait(job_id) for job_id in job_ids]
    assert {record.status for record in records} == {JobStatus.COMPLETED}
    assert [len(fleet.starts(job_id)) for job_id in job_ids] == [2] * 10


async def test_a_worker_that_lost_its_lease_changes_nothing__faults_44_73(fleet: Fleet) -> None:
    """What a stopped worker finishes when it wakes is refused: the job is still the other's.

    And when that one is killed, the job runs once more and ends.
    """
    stopped = await fleet.worker(options=SHORT)
    async with fleet.queue(options=SHORT) as queue:
        job_id = await queue.submit("hold")
        await fleet.started(job_id)
        stopped.freeze()
        taker = await fleet.worker(options=SHORT)
        await fleet.started(job_id, times=2)
        fleet.let_go(stopped)
        stopped.thaw()
        await fleet.dropped(stopped, job_id)
        assert (await queue.get_result(job_id)).status is JobStatus.RUNNING
        assert not fleet.books.entries("finished")
        taker.kill()
        record = await queue.wait(job_id)
    runs = [start["run"] for start in fleet.starts(job_id)]
    assert (record.status, record.result) == (JobStatus.COMPLETED, runs[2])
    assert len(fleet.books.entries("finished")) == 1


@pytest.mark.slow
async def test_a_worker_that_was_stopped_does_not_take_its_own_job_twice(fleet: Fleet) -> None:
    """A worker that wakes with a stale lease, and is alone, goes on with what it runs."""
    worker = await fleet.worker(options=SHORT)
    async with fleet.queue(options=SHORT) as queue:
        job_id = await queue.submit("hold")
        await fleet.started(job_id)
        worker.freeze()
        frozen_at = time.monotonic()
        await until(lambda: time.monotonic() > frozen_at + 2 * SHORT["lease"])
        worker.thaw()
        for _ in range(5):
            await queue.wait(await queue.submit("echo"))
        fleet.let_go(worker)
        record = await queue.wait(job_id)
    assert record.status is JobStatus.COMPLETED
    assert len(fleet.starts(job_id)) == 1


async def test_a_shutdown_gives_back_what_it_stops__fault_46(fleet: Fleet) -> None:
    """A job that outlasts the drain runs again elsewhere at once; shutdowns are no losses."""
    options = {**NEVER, "max_deliveries": 1}
    workers = [await fleet.worker(options=options, drain_timeout=0.2)]
    workers += [fleet.begin_worker(options=options, drain_timeout=0.2) for _ in range(2)]
    async with fleet.queue(options=options) as queue:
        job_id = await queue.submit("hold")
        for times in (1, 2):
            await fleet.started(job_id, times=times)
            for worker in workers:
                await fleet.up(worker)
            pid = fleet.starts(job_id)[-1]["pid"]
            (worker,) = [each for each in workers if each.pid == pid]
            worker.terminate()
            assert await worker.ended() == 0
            workers.remove(worker)
        await fleet.started(job_id, times=3)
        fleet.let_go(*workers)
        record = await queue.wait(job_id)
    assert record.status is JobStatus.COMPLETED
    assert len(fleet.starts(job_id)) == 3
    assert len(fleet.books.entries("finished")) == 1


async def test_a_shutdown_settles_what_must_not_run_twice__fault_46(fleet: Fleet) -> None:
    """With `on_shutdown="settle"` it ends as cancelled, and nobody else starts it."""
    options = {**NEVER, "on_shutdown": "settle"}
    worker = await fleet.worker(options=options, drain_timeout=0.2)
    async with fleet.queue(options=NEVER) as queue:
        job_id = await queue.submit("hold")
        await fleet.started(job_id)
        other = await fleet.worker(options=options)
        worker.terminate()
        record = await queue.wait(job_id)
        assert await worker.ended() == 0
        fleet.let_go(other)
        await queue.wait(await queue.submit("hold"))
    assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Shutdown")
    assert len(fleet.starts(job_id)) == 1


async def test_a_clean_restart_of_a_worker_loses_no_time(fleet: Fleet) -> None:
    """A job that waits for its next attempt is given back at once, and goes on elsewhere."""
    worker = await fleet.worker(options=NEVER, drain_timeout=60)
    async with fleet.queue(options=NEVER) as queue:
        job_id = await queue.submit("retry_later")
        await fleet.started(job_id)
        other = await fleet.worker(options=NEVER)
        worker.terminate()
        await until(lambda: any(s["pid"] == other.pid for s in fleet.books.entries("start")))
        assert await worker.ended() == 0
        record = await queue.wait(job_id)
    assert record.status is JobStatus.COMPLETED


@pytest.mark.slow
async def test_a_job_that_kills_its_process_takes_no_other_with_it(fleet: Fleet) -> None:
    """It ends as `WorkerLost`, and those that ran beside it each time complete."""
    fuse, longer = 0.5, 1.0
    workers = [fleet.begin_worker(options=SHORT) for _ in range(2)]
    for worker in workers:
        await fleet.up(worker)
    async with fleet.queue(options=SHORT) as queue:
        poison = await queue.submit("die", {"seconds": fuse})
        job_ids = [await queue.submit("sleep", {"seconds": longer}) for _ in range(9)]

        async def all_ended() -> list[JobResult[Any]]:
            """Start those anew that have ended, as a supervisor does."""
            for number, worker in enumerate(workers):
                if not worker.is_alive:
                    await worker.killed_itself()
                    workers[number] = await fleet.worker(options=SHORT)
            records = [await queue.get_result(job_id) for job_id in [poison, *job_ids]]
            return records if all(record.status.is_terminal for record in records) else []

        records = await until(all_ended)
    assert (records[0].status, records[0].error_type) == (JobStatus.FAILED, "WorkerLost")
    assert {record.status for record in records[1:]} == {JobStatus.COMPLETED}
    assert len(fleet.starts(poison)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("deliveries", [1, 2])
async def test_a_job_is_lost_so_often_and_no_more__fault_43(fleet: Fleet, deliveries: int) -> None:
    """After `max_deliveries` losses it is failed, and whoever waits is told."""
    options = {**SHORT, "max_deliveries": deliveries}
    async with fleet.queue(options=options) as queue:
        job_id = await queue.submit("die")
        for times in range(1, deliveries + 1):
            worker = await fleet.worker(options=options)
            await fleet.started(job_id, times=times)
            await worker.killed_itself()
        await fleet.worker(options=options)
        record = await queue.wait(job_id)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "WorkerLost")
    assert record.result is None
    assert len(fleet.starts(job_id)) == deliveries


@pytest.mark.slow
async def test_a_job_longer_than_its_lease_runs_once__fault_44(fleet: Fleet) -> None:
    """A live lease is never taken, not even if the handler holds the event loop."""
    workers = [fleet.begin_worker(options=SHORT) for _ in range(2)]
    for worker in workers:
        await fleet.up(worker)
    lease = SHORT["lease"]
    async with fleet.queue(options=SHORT) as queue:
        job_ids = [
            await queue.submit(each, {"seconds": 2.5 * lease}) for each in ("sleep", "sleep_sync")
        ]
        await fleet.started(*job_ids)
        job_ids.append(await queue.submit("block", {"seconds": 2 * lease}))
        records = [await queue.wait(job_id) for job_id in job_ids]
    assert {record.status for record in records} == {JobStatus.COMPLETED}
    assert [len(fleet.starts(job_id)) for job_id in job_ids] == [1, 1, 1]
    assert not fleet.books.entries("log", event="job_lost")


@pytest.mark.slow
async def test_the_jobs_of_a_wedged_loop_run_elsewhere(fleet: Fleet) -> None:
    """A worker whose event loop does not answer for some leases counts as lost."""
    workers = [fleet.begin_worker(options=SHORT) for _ in range(2)]
    for worker in workers:
        await fleet.up(worker)
    async with fleet.queue(options=SHORT) as queue:
        job_id = await queue.submit("block", {"seconds": 7 * SHORT["lease"], "times": 1})
        record = await queue.wait(job_id)
        starts = fleet.starts(job_id)
        assert (record.status, record.result) == (JobStatus.COMPLETED, starts[1]["run"])
        first = next(each for each in fleet.members if each.pid == starts[0]["pid"])
        await fleet.dropped(first, job_id)
    assert len(fleet.books.entries("finished")) == 1
