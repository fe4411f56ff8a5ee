"""Which jobs a worker claims, and in which order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from stoat_jobs import JobContext, JobHandlers, JobStatus

from .queues import Gate, queue_on, rows_of, until


class Types:
    """Job types that wait at a gate."""

    def __init__(self, **limits: int | None) -> None:
        self.handlers = JobHandlers()
        self.gate = Gate()
        for name, concurrency in limits.items():
            self.handlers.register(name, self.hold, concurrency=concurrency)

    async def hold(self, ctx: JobContext, /, n: int = 0) -> None:
        await self.gate.wait(n)


async def test_a_type_has_its_own_limit_and_others_pass(url: str) -> None:
    """While a type is full its jobs wait, and later ones of other types start."""
    types = Types(narrow=2, wide=None)
    async with queue_on(url, types.handlers) as queue:
        narrow = await queue.submit_many("narrow", [{"n": n} for n in range(5)])
        wide = await queue.submit_many("wide", [{"n": n} for n in range(3)])
        await types.gate.until(5)
        running = await queue.list_jobs(status="running")
        assert {job.job_id for job in running} == {*narrow[:2], *wide}
        types.gate.opened.set()
        for job_id in narrow:
            await queue.wait(job_id)
    assert len(types.gate.arrived) == 8


async def test_a_limit_over_all_workers_holds(url: str) -> None:
    """With ``limits``, so many jobs of a type run in all processes together, also in the end."""
    types = Types(scarce=None)
    options = {"limits": {"scarce": 2}}
    one = queue_on(url, types.handlers, options=options)
    two = queue_on(url, types.handlers, options=options)
    async with one, two:
        ids = await one.submit_many("scarce", [{"n": n} for n in range(6)])
        await types.gate.until(2)
        for queue in (one, two):
            assert len(await queue.list_jobs(status="running")) == 2
        most = 0
        types.gate.opened.set()
        for job_id in ids:
            await two.wait(job_id)
            most = max(most, (await one.stats()).by_status[JobStatus.RUNNING])
    assert most <= 2
    assert len(types.gate.arrived) == 6


async def test_workers_that_race_for_a_limited_type_go_on(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Losing such a race is no failure: nothing is logged, and all jobs run."""
    types = Types(scarce=None)
    types.gate.opened.set()
    options = {"limits": {"scarce": 1}}
    async with AsyncExitStack() as stack:
        queues = [
            await stack.enter_async_context(queue_on(url, types.handlers, options=options))
            for _ in range(4)
        ]
        ids = await queues[0].submit_many("scarce", [{"n": n} for n in range(60)])
        for job_id in ids:
            await queues[1].wait(job_id)
    assert sorted(types.gate.arrived) == list(range(60))
    assert not [each for each in caplog.records if "side_task" in each.getMessage()]


async def test_jobs_start_in_the_order_in_which_they_are_due(url: str) -> None:
    """A delayed job that is due starts before one that was submitted later, and no earlier."""
    order: list[int] = []
    handlers = JobHandlers()

    @handlers.job
    async def note(ctx: JobContext, n: int) -> None:
        order.append(n)

    async with queue_on(url, handlers, options={"worker": False}) as submitter:
        far = await submitter.submit("note", {"n": 9}, delay=3600)
        first = await submitter.submit("note", {"n": 0})
        delayed = await submitter.submit("note", {"n": 1}, delay=1)
        await until(lambda: _is_due(url, delayed))
        await asyncio.sleep(1)  # the order is by the second
        last = await submitter.submit("note", {"n": 2})
        async with queue_on(url, handlers, concurrency=1):
            for job_id in (first, delayed, last):
                await submitter.wait(job_id)
            assert (await submitter.get_result(far)).status is JobStatus.PENDING
    assert order == [0, 1, 2]


async def _is_due(url: str, job_id: str) -> bool:
    sql = "SELECT not_before < clock_timestamp() AS due FROM stoat_jobs.job WHERE id = $1::uuid"
    (row,) = await rows_of(url, sql, job_id)
    return bool(row["due"])


async def test_what_is_delayed_stands_in_nobodys_way(url: str) -> None:
    """Thousands of jobs that are not due yet come after those that are, in the claim's index."""
    handlers = JobHandlers()

    @handlers.job
    async def note(ctx: JobContext, n: int) -> int:
        return n

    async with queue_on(url, handlers) as queue:
        await queue.submit_many("note", [{"n": n} for n in range(9_000)], delay=3600)
        job_id = await queue.submit("note", {"n": 7})
        assert (await queue.wait(job_id)).result == 7
        (order,) = await rows_of(
            url,
            "SELECT max(priority) < 1577836800 - extract(epoch FROM now()) AS is_later"
            " FROM stoat_jobs.pgqueuer",
        )
    assert order["is_later"]


async def test_handlers_that_are_lent_later_are_claimed(url: str) -> None:
    """A job type that is registered while the queue runs has its jobs run."""
    handlers = JobHandlers()
    async with queue_on(url, handlers, options={"lease": 1.0}) as queue:

        @handlers.job
        async def late(ctx: JobContext) -> str:
            return "here"

        assert await (await late.submit(queue)).value() == "here"


async def test_what_ran_in_a_process_that_is_gone_runs_again(url: str) -> None:
    """A job whose worker was lost is claimed after one lease of contact with the server."""
    types = Types(hold=None)
    types.gate.opened.set()
    options = {"lease": 1.0}
    async with queue_on(url, types.handlers, options={**options, "worker": False}) as submitter:
        job_id = await submitter.submit("hold", {"n": 1})
        await _lose(url, job_id, losses=0)
        async with queue_on(url, types.handlers, options=options):
            record = await submitter.wait(job_id)
    assert record.status is JobStatus.COMPLETED
    assert await _losses(url, job_id) == 1


async def test_suspects_run_one_at_a_time(url: str) -> None:
    """Of jobs that may be lost only once more, a worker runs one, and the others afterwards."""
    types = Types(hold=None)
    options = {"lease": 1.0}
    async with queue_on(url, types.handlers, options={**options, "worker": False}) as submitter:
        ids = await submitter.submit_many("hold", [{"n": n} for n in range(3)])
        for job_id in ids:
            await _lose(url, job_id, losses=1)
        fresh = await submitter.submit("hold", {"n": 9})
        async with queue_on(url, types.handlers, options=options) as worker:
            await types.gate.until(2)
            await until(lambda: _are_aside(url, 2))
            assert len(types.gate.arrived) == 2
            assert worker._life is not None
            types.gate.opened.set()
            for job_id in (*ids, fresh):
                assert (await submitter.wait(job_id)).status is JobStatus.COMPLETED
    assert sorted(types.gate.arrived) == [0, 1, 2, 9]


async def test_a_job_that_was_lost_too_often_is_failed(url: str) -> None:
    """The third loss is the last: the job is failed with the reason, and its key is free."""
    types = Types(hold=None)
    options = {"lease": 1.0}
    async with queue_on(url, types.handlers, options={**options, "worker": False}) as submitter:
        job_id = await submitter.submit("hold", key="one")
        await _lose(url, job_id, losses=2)
        async with queue_on(url, types.handlers, options=options):
            record = await submitter.wait(job_id)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "WorkerLost")
    assert "3 times" in (record.error or "")
    assert not types.gate.arrived


async def _lose(url: str, job_id: str, *, losses: int) -> None:
    """Make a job look as one that runs on a worker that was killed a minute ago."""
    await rows_of(
        url,
        "WITH job AS (UPDATE stoat_jobs.job SET status = 'running', delivery = delivery + 1,"
        " started_at = clock_timestamp(), losses = $2 WHERE id = $1::uuid RETURNING seq)"
        " UPDATE stoat_jobs.pgqueuer SET status = 'picked', queue_manager_id = gen_random_uuid(),"
        " heartbeat = now() - interval '1 minute' FROM job WHERE pgqueuer.id = job.seq",
        job_id,
        losses,
    )


async def _losses(url: str, job_id: str) -> int:
    (row,) = await rows_of(url, "SELECT losses FROM stoat_jobs.job WHERE id = $1::uuid", job_id)
    return int(row["losses"])


async def _are_aside(url: str, number: int) -> bool:
    sql = "SELECT count(*) AS number FROM stoat_jobs.job WHERE status = 'pending' AND losses > 0"
    (row,) = await rows_of(url, sql)
    return bool(row["number"] == number)
