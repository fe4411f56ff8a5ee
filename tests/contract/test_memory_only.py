"""What the `memory` backend does and no other: it is done when ``submit`` returns."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from pydantic import BaseModel

from stoat_jobs import (
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobStatus,
)
from stoat_jobs.testing import Bench, FakeClockLoop, run_with_fake_clock


class Report(BaseModel):
    files: int
    tags: tuple[str, ...] = ()


@asynccontextmanager
async def memory(**settings: Any) -> AsyncIterator[tuple[Bench, InMemoryJobQueue]]:
    """A bench whose queue is never entered, and so need not be left."""
    bench = Bench()
    queue = InMemoryJobQueue(bench.handlers, JobQueueSettings(**settings))
    bench.queue = queue
    yield bench, queue
    bench.open_gates()
    await asyncio.gather(*bench.submissions, return_exceptions=True)


async def test_submit_returns_when_its_job_has_ended() -> None:
    """The id comes back with the work done, without the queue being started."""
    async with memory() as (bench, queue):
        submission = bench.submit("hold")
        call = await bench.call_number(0)
        assert not submission.done()
        assert await queue.get_status(call.job_id) is JobStatus.RUNNING
        call.finish(1)
        job_id = await submission
        assert (await queue.get_result(job_id)).result == 1
        assert queue.started is False


async def test_a_sync_handler_has_ended_too_when_submit_returns() -> None:
    """A handler in a thread is waited for like any other."""
    async with memory() as (bench, queue):

        @bench.handlers.job
        def double(ctx: JobContext, n: int) -> int:
            return 2 * n

        ref = await double.submit(queue, 21)
        assert (await ref.get_result()).result == 42


async def test_a_second_submitter_waits_its_turn() -> None:
    """One job runs at a time, in the order of submission, however many submit at once."""
    async with memory(concurrency=5) as (bench, queue):
        submissions = [bench.submit("hold", {"n": n}) for n in range(3)]
        await bench.clock.settle()
        for n in range(3):
            assert [call.payload["n"] for call in bench.calls] == list(range(n + 1))
            assert [submission.done() for submission in submissions] == [
                each < n for each in range(3)
            ]
            bench.calls[n].finish()
            await bench.clock.settle()


async def test_a_submit_from_a_handler_returns_a_pending_id_and_runs_before_the_outer_returns() -> (
    None
):
    """What a handler submits comes after it and before the outer submit is over."""
    async with memory() as (bench, queue):
        events: list[str] = []

        @bench.handlers.job
        async def inner(ctx: JobContext, depth: int) -> None:
            if depth:
                await ctx.queue.submit("inner", {"depth": depth - 1})
            events.append(f"inner {depth}")

        @bench.handlers.job
        async def outer(ctx: JobContext) -> str:
            job_id: str = await ctx.queue.submit("inner", {"depth": 2})
            events.append(await ctx.queue.get_status(job_id))
            return job_id

        job_id = await queue.submit("outer")
        events.append("returned")
        assert events == ["pending", "inner 2", "inner 1", "inner 0", "returned"]
        inner_id = str((await queue.get_result(job_id)).result)
        assert await queue.get_status(inner_id) is JobStatus.COMPLETED


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
async def test_waiting_inside_a_handler_for_a_job_it_submitted_names_the_deadlock(
    threaded: bool,
) -> None:
    """With one slot that wait would never end, so it is an error that says so."""
    async with memory() as (bench, queue):

        async def submit_and_wait(nested: JobBackend) -> None:
            await nested.wait(await nested.submit("hold"))

        async def waiting(ctx: JobContext) -> None:
            await submit_and_wait(ctx.queue)

        def waiting_in_thread(ctx: JobContext) -> None:
            ctx.from_thread(submit_and_wait, ctx.queue)

        bench.handlers.register("waiting", waiting_in_thread if threaded else waiting)
        bench.open_gates()
        record = await queue.get_result(await queue.submit("waiting"))
        assert (record.status, record.error_type) == (JobStatus.FAILED, "RuntimeError")
        assert "deadlock" in str(record.error)
        assert str(record.error).endswith(
            " cannot start before this handler returns; return, and wait outside"
        )


async def test_cancelling_the_submit_cancels_the_job_finishes_it_and_re_raises() -> None:
    """A caller who gives up ends the job, and is still told that it was cancelled."""
    async with memory() as (bench, queue):
        submission = bench.submit("hold")
        call = await bench.call_number(0)
        submission.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submission
        record = await queue.get_result(call.job_id)
        assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")


async def test_cancelling_a_submit_that_waits_its_turn_takes_the_job_back() -> None:
    """A job whose submitter gave up before its turn never starts."""
    async with memory() as (bench, queue):
        first = await bench.begin()
        second = await bench.put()
        bench.submissions[1].cancel()
        await bench.clock.settle()
        assert await queue.get_status(second) is JobStatus.CANCELLED
        await bench.finish(first)
        assert bench.calls_of(second) == []


async def test_cancelling_a_submit_cancels_what_its_handler_submitted() -> None:
    """Nothing that a given-up submission began is left to run."""
    async with memory() as (bench, queue):

        @bench.handlers.job
        async def outer(ctx: JobContext) -> None:
            await ctx.queue.submit("hold", {"n": 1})
            await ctx.queue.submit("hold", {"n": 2})

        submission = bench.submit("outer")
        call = await bench.call_number(0)
        submission.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submission
        statuses = [job.status for job in await queue.list_jobs()]
        assert statuses == [JobStatus.CANCELLED, JobStatus.CANCELLED, JobStatus.COMPLETED]
        assert (call.ended, len(bench.calls)) == (True, 1)


async def test_a_submit_whose_cancelled_handler_resists_ends_after_the_grace() -> None:
    """Giving up on a deaf handler takes ``cancel_grace``, not for ever."""
    async with memory(cancel_grace=2) as (bench, queue):
        submission = bench.submit("deaf")
        call = await bench.call_number(0)
        submission.cancel()
        await bench.clock.advance(1.9)
        assert not submission.done()
        await bench.clock.advance(0.2)
        assert submission.cancelled()
        assert await queue.get_status(call.job_id) is JobStatus.CANCELLED


async def test_a_submit_cancelled_twice_waits_for_no_grace() -> None:
    """Who gives up on giving up gets away at once, and the job is settled all the same."""
    async with memory(cancel_grace=100) as (bench, queue):
        submission = bench.submit("deaf")
        call = await bench.call_number(0)
        for _ in range(2):
            submission.cancel()
            await bench.clock.settle()
        assert submission.cancelled()
        assert await queue.get_status(call.job_id) is JobStatus.CANCELLED


async def test_retries_are_not_waited_for() -> None:
    """A test of a retrying handler takes no time, not even on a clock that stands still."""
    async with memory() as (bench, queue):
        attempts: list[int] = []

        async def flaky(ctx: JobContext) -> str:
            attempts.append(ctx.attempt)
            if ctx.attempt < 3:
                raise ConnectionError
            return "at last"

        bench.handlers.register("flaky", flaky, retries=5)
        begun = bench.clock.time()
        record = await queue.get_result(await queue.submit("flaky"))
        assert (record.result, record.attempt, attempts) == ("at last", 3, [0, 1, 2, 3])
        assert bench.clock.time() == begun


async def test_ages_are_checked_on_access() -> None:
    """Old records go when the queue is asked, though nobody entered it."""
    async with memory(result_ttl=60) as (bench, queue):
        bench.open_gates()
        job_id = await queue.submit("hold")
        await bench.clock.advance(61)
        with pytest.raises(JobNotFoundError):
            await queue.get_result(job_id)


async def test_results_go_through_json() -> None:
    """A result comes back as a durable engine would give it, cut off from the handler's own."""
    async with memory() as (bench, queue):
        kept: list[Any] = []

        @bench.handlers.job
        async def plain(ctx: JobContext) -> Any:
            kept.append({"pair": (1, 2)})
            return kept[0]

        @bench.handlers.job
        async def report(ctx: JobContext) -> Report:
            return Report(files=3, tags=("a", "b"))

        record = await queue.get_result(await queue.submit("plain"))
        kept[0]["pair"] = "changed"
        assert record.result == {"pair": [1, 2]}
        record = await queue.get_result(await queue.submit("report"))
        assert record.result == Report(files=3, tags=("a", "b"))


async def test_a_result_that_is_not_the_declared_type_fails() -> None:
    """What a durable engine would refuse fails in the test already."""
    async with memory() as (bench, queue):

        @bench.handlers.job
        async def report(ctx: JobContext) -> Report:
            return 3  # type: ignore[return-value]

        record = await queue.get_result(await queue.submit("report"))
        assert (record.status, record.error_type) == (JobStatus.FAILED, "TypeError")
        assert "int" in str(record.error)


async def test_it_serves_two_event_loops_in_turn_without_being_entered() -> None:
    """Two tests, each with a loop of its own, may share one queue."""
    queue = InMemoryJobQueue(JobHandlers())
    queue.set_outcome("scan", result=1)
    ids = [await asyncio.to_thread(asyncio.run, queue.submit("scan")) for _ in range(2)]
    assert [(await queue.get_result(job_id)).result for job_id in ids] == [1, 1]


# Held back.


async def test_without_autorun_jobs_are_held_until_run_next() -> None:
    """A test may look at a pending job, and let each one run when it wants to."""
    async with memory(options={"autorun": False}) as (bench, queue):
        bench.open_gates()
        first, second = await queue.submit("hold"), await queue.submit("hold")
        assert await queue.get_status(first) is JobStatus.PENDING
        record = await queue.run_next()
        assert record is not None
        assert (record.job_id, record.status) == (first, JobStatus.COMPLETED)
        assert await queue.get_status(second) is JobStatus.PENDING
        record = await queue.run_next()
        assert record is not None
        assert record.job_id == second
        assert await queue.run_next() is None


async def test_run_next_from_elsewhere_is_refused_in_words() -> None:
    """Inside a handler, and outside the queue's event loop, the error says what is wrong."""
    async with memory(options={"autorun": False}) as (bench, queue):

        @bench.handlers.job
        async def greedy(ctx: JobContext) -> None:
            await ctx.queue.submit("greedy")
            await queue.run_next()

        @bench.handlers.job
        def elsewhere(ctx: JobContext) -> None:
            queue.run_next().send(None)

        for job_type, words in {
            "elsewhere": "run_next() was called outside the event loop",
            "greedy": "run_next() inside a handler would wait for the slot it is in",
        }.items():
            job_id = await queue.submit(job_type)
            await queue.run_next()
            assert str((await queue.get_result(job_id)).error).startswith(words)


async def test_a_held_job_may_be_cancelled() -> None:
    """``run_next`` passes over what was cancelled meanwhile."""
    async with memory(options={"autorun": False}) as (bench, queue):
        bench.open_gates()
        first, second = await queue.submit("hold"), await queue.submit("hold")
        assert await queue.cancel(first) is True
        record = await queue.run_next()
        assert record is not None
        assert record.job_id == second
        assert bench.calls_of(first) == []


async def test_what_a_held_job_submits_is_held_too() -> None:
    """``run_next`` runs one job, and leaves what that one submitted for the next call."""
    async with memory(options={"autorun": False}) as (bench, queue):
        bench.open_gates()

        @bench.handlers.job
        async def outer(ctx: JobContext) -> None:
            await ctx.queue.submit("hold")

        await queue.submit("outer")
        assert (await queue.run_next() or pytest.fail("no job")).job_type == "outer"
        assert bench.calls == []
        assert (await queue.run_next() or pytest.fail("no job")).job_type == "hold"


async def test_partial_work_goes_through_json_too() -> None:
    """What a cancelled job returns is kept as JSON has it, or not at all."""
    async with memory() as (bench, queue):

        @bench.handlers.job
        async def partial(ctx: JobContext, fits: bool) -> Any:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return (1, 2) if fits else object()

        for fits, result in ((True, [1, 2]), (False, None)):
            submission = bench.submit("partial", {"fits": fits})
            await bench.clock.settle()
            job_id = (await queue.list_jobs(limit=1))[0].job_id
            assert await queue.cancel(job_id) is True
            record = await queue.get_result(await submission)
            assert (record.status, record.result) == (JobStatus.CANCELLED, result)


async def test_nothing_is_remembered_of_what_was_held_or_nested() -> None:
    """Between two submissions the queue has its records, and nothing else."""
    async with memory(options={"autorun": False}) as (bench, queue):
        bench.open_gates()
        await queue.submit("hold")
        await queue.run_next()
        assert queue._scheduler.released == set()
    async with memory() as (bench, queue):
        bench.open_gates()

        @bench.handlers.job
        async def outer(ctx: JobContext) -> None:
            await ctx.queue.submit("hold")

        await queue.submit("outer")
        assert len(bench.calls) == 1
        assert queue._nested == {}


def test_no_timer_is_left_when_its_jobs_have_finished() -> None:
    """A test's event loop is as it was: no deadline of a finished job is waited for."""
    handlers = JobHandlers()

    @handlers.job(timeout=60)
    async def quick(ctx: JobContext) -> None: ...

    async def timer_left() -> float:
        await InMemoryJobQueue(handlers).submit("quick")
        return cast(FakeClockLoop, asyncio.get_running_loop()).next_timer()

    assert run_with_fake_clock(timer_left()) == math.inf
