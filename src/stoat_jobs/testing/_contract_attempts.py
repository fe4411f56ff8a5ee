"""Promises about retries and deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from typing import Any

import pytest

from stoat_jobs import JobContext, JobResult, JobStatus

from ._bench import Bench, Call
from ._promises import Promises, needs


async def fail_until_the_end(bench: Bench, job_id: str) -> JobResult[object]:
    """Let every attempt of a job fail with a different text, and advance time in between."""
    attempts = 0
    while not (await bench.status(job_id)).is_terminal:
        calls = bench.calls_of(job_id)
        if len(calls) > attempts:
            calls[-1].fail(ValueError(f"attempt {attempts}"))
            attempts = len(calls)
        await bench.clock.advance(1.0)
    return await bench.record(job_id)


class AttemptPromises(Promises):
    """How often a handler is called for a job, and for how long."""

    async def test_without_retries_a_failure_is_final(self) -> None:
        """A handler is called once unless its registration asks for more."""
        async with self.bench() as bench:
            job_id = await bench.put()
            record = await fail_until_the_end(bench, job_id)
            assert (record.status, record.attempt) == (JobStatus.FAILED, 0)
            assert len(bench.calls) == 1

    async def test_a_retry_may_succeed(self) -> None:
        """After a failure the handler is called again with its attempt; the job stays running."""
        async with self.bench() as bench:
            call = await bench.begin("retrying")
            call.fail(ValueError("try again"))
            await bench.clock.settle()
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(1.0)
            second = await bench.call(call.job_id)
            assert (call.ctx.attempt, second.ctx.attempt) == (0, 1)
            record = await bench.finish(second, "done")
            assert (record.status, record.result) == (JobStatus.COMPLETED, "done")
            assert (record.attempt, record.error, record.error_type) == (1, None, None)

    async def test_retries_end_with_the_last_error(self) -> None:
        """``retries`` counts further attempts; if all fail, the record has the last error."""
        async with self.bench() as bench:
            record = await fail_until_the_end(bench, await bench.put("retrying"))
            assert [call.ctx.attempt for call in bench.calls] == [0, 1, 2, 3]
            assert (record.status, record.error, record.attempt) == (
                JobStatus.FAILED,
                "attempt 3",
                3,
            )

    @pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError])
    async def test_only_an_exception_is_retried(self, error: type[BaseException]) -> None:
        """An error that is not an ``Exception`` fails the job without a retry."""
        async with self.bench() as bench:
            attempts: list[int] = []

            async def leave(ctx: JobContext) -> None:
                attempts.append(ctx.attempt)
                raise error

            bench.handlers.register("leave", leave, retries=3)
            record = await bench.run("leave")
            assert (record.status, attempts) == (JobStatus.FAILED, [0])

    async def test_a_retrying_job_keeps_its_slot_and_its_start(self) -> None:
        """Between attempts the job stays running, keeps its slot and keeps its start time."""
        async with self.bench() as bench:
            first = await bench.begin("retrying")
            started_at = (await bench.record(first.job_id)).started_at
            await bench.put()
            first.fail(ValueError())
            await bench.clock.settle()
            assert {call.job_id for call in bench.calls} == {first.job_id}
            await bench.clock.advance(1.0)
            second = await bench.call(first.job_id)
            record = await bench.finish(second)
            assert (record.started_at, record.attempt) == (started_at, 1)

    @needs("waits_between_attempts")
    async def test_delays_grow_and_are_drawn_at_random(self) -> None:
        """The n-th retry comes after a random delay of up to min(60, 2**(n-1)) seconds."""
        async with self.bench(timeout=math.inf) as bench:
            starts: list[float] = []

            async def failing(ctx: JobContext) -> None:
                starts.append(bench.clock.time())
                raise ValueError

            bench.handlers.register("failing", failing, retries=12)
            await bench.clock.drive(bench.queue.wait(await bench.put("failing")))
            delays = [after - before for before, after in zip(starts, starts[1:])]
            limits = [min(60.0, 2.0**n) for n in range(12)]
            assert len(delays) == 12
            assert all(0 <= delay <= limit + 1e-6 for delay, limit in zip(delays, limits))
            assert sum(delays) > 3
            assert len(set(delays)) == 12

    @needs("waits_between_attempts")
    async def test_a_delay_that_would_pass_the_deadline_is_not_begun(self) -> None:
        """A job fails at once with its last error if the next attempt would pass its time limit."""
        async with self.bench() as bench:
            job_id = await bench.put("retrying", timeout=10)
            await bench.clock.advance(10 - 1e-6)
            (await bench.call(job_id)).fail(ValueError("the last"))
            record = await bench.record(job_id)
            assert (record.status, record.error) == (JobStatus.FAILED, "the last")

    async def test_the_deadline_holds_for_all_attempts_together(self) -> None:
        """A retry does not get a new time limit."""
        async with self.bench() as bench:
            call = await bench.begin("retrying", timeout=10)
            await bench.clock.advance(8)
            call.fail(ValueError())
            await bench.clock.advance(1)
            assert len(bench.calls_of(call.job_id)) == 2
            await bench.clock.advance(1.5)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    @needs("waits_between_attempts")
    @pytest.mark.parametrize("kind", ["async", "cooperative", "thread"])
    async def test_a_cancel_between_attempts_ends_the_job_at_once(self, kind: str) -> None:
        """A job that waits for its next attempt can be cancelled at once."""
        async with self.bench(timeout=math.inf) as bench:
            handler: Any = bench.work if kind == "thread" else bench.hold
            bench.handlers.register(
                "patient", handler, retries=50, cooperative=kind == "cooperative"
            )
            call = await bench.begin("patient")
            for attempt in range(1, 11):
                await self._fail(bench, call)
                await bench.clock.advance(60)
                call = await bench.call_number(attempt)
            await self._fail(bench, call)
            assert await bench.queue.cancel(call.job_id) is True
            assert await bench.status(call.job_id) is JobStatus.CANCELLED
            assert len(bench.calls) == 11

    async def _fail(self, bench: Bench, call: Call) -> None:
        call.fail(ValueError())
        if call.thread is not threading.current_thread():
            call.join()
        await bench.clock.settle()

    # Deadlines.

    async def test_a_job_past_its_deadline_is_told_to_stop_and_ends_timeout(self) -> None:
        """At its deadline an async handler is cancelled, and the record says why it stopped."""
        async with self.bench() as bench:
            call = await bench.begin(timeout=10)
            await bench.clock.advance(9.9)
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(0.2)
            record = await bench.record(call.job_id)
            assert (record.status, record.error_type) == (JobStatus.TIMEOUT, "Timeout")
            assert "10" in str(record.error)
            assert (call.ctx.cancelled, call.cancels, record.cancel_requested) == (True, 1, False)

    async def test_the_submissions_timeout_goes_before_the_handlers_and_the_settings(self) -> None:
        """The submission's time limit comes before the handler's, and that before the settings'."""
        async with self.bench(timeout=30) as bench:
            bench.handlers.register("limited", bench.hold, timeout=20)
            for job_type, options, limit in [
                ("hold", {}, 30),
                ("limited", {}, 20),
                ("limited", {"timeout": 40}, 40),
            ]:
                call = await bench.begin(job_type, **options)
                await bench.clock.advance(limit - 0.1)
                assert await bench.status(call.job_id) is JobStatus.RUNNING
                await bench.clock.advance(0.2)
                assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    async def test_five_minutes_are_the_default(self) -> None:
        """The default time limit of a job is 300 seconds."""
        async with self.bench() as bench:
            call = await bench.begin()
            await bench.clock.advance(299)
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(2)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    async def test_inf_is_no_limit__fault_18(self) -> None:
        """``math.inf`` means no time limit."""
        async with self.bench() as bench:
            call = await bench.begin(timeout=math.inf)
            bench.clock.jump(500_000)
            await bench.clock.settle()
            record = await bench.finish(call, "at last")
            assert (record.status, record.result) == (JobStatus.COMPLETED, "at last")

    async def test_the_deadline_counts_from_the_start_never_the_wait(self) -> None:
        """The time limit does not include the time that the job waits for a slot."""
        async with self.bench(concurrency=1) as bench:
            first = await bench.begin(timeout=50)
            waiting = await bench.put(timeout=10)
            await bench.clock.advance(40)
            assert await bench.status(waiting) is JobStatus.PENDING
            await bench.finish(first)
            await bench.clock.advance(9)
            assert await bench.status(waiting) is JobStatus.RUNNING
            await bench.clock.advance(2)
            assert await bench.status(waiting) is JobStatus.TIMEOUT

    @needs("concurrent")
    async def test_each_job_has_a_deadline_of_its_own(self) -> None:
        """Jobs with the same time limit each have it from their own start."""
        async with self.bench(concurrency=3, timeout=10) as bench:
            calls = []
            for _ in range(3):
                calls.append(await bench.begin())
                await bench.clock.advance(4)
            ended = []
            for _ in range(8):
                ended.append([call.ended for call in calls])
                await bench.clock.advance(1)
            assert [sum(each) for each in ended] == [1, 1, 2, 2, 2, 2, 3, 3]

    async def test_a_value_returned_after_the_deadline_is_dropped__fault_12(self) -> None:
        """A job whose handler answers its cancellation with a value still ends as ``timeout``."""

        async def stubborn(ctx: JobContext) -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            return "too late"

        async with self.bench() as bench:
            bench.handlers.register("stubborn", stubborn)
            job_id = await bench.put("stubborn", timeout=10)
            await bench.clock.advance(10)
            record = await bench.record(job_id)
            assert (record.status, record.result) == (JobStatus.TIMEOUT, None)

    @pytest.mark.parametrize("failing", [False, True], ids=["returns", "raises"])
    async def test_a_handler_that_blocks_past_its_deadline_timed_out__fault_12(
        self, failing: bool
    ) -> None:
        """A job whose handler returns or raises after the time limit ends as ``timeout``."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def blocking(ctx: JobContext) -> str:
                bench.clock.jump(11)
                if failing:
                    raise ValueError
                return "too late"

            record = await bench.run("blocking", timeout=10)
            assert (record.status, record.result) == (JobStatus.TIMEOUT, None)

    async def test_raising_after_the_deadline_is_timeout__fault_16(self) -> None:
        """An error raised during cleanup does not hide why the job was stopped."""

        async def clumsy(ctx: JobContext) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                raise ValueError("while cleaning up")

        async with self.bench() as bench:
            bench.handlers.register("clumsy", clumsy, retries=3)
            job_id = await bench.put("clumsy", timeout=10)
            await bench.clock.advance(10)
            record = await bench.record(job_id)
            assert (record.status, record.error_type, record.attempt) == (
                JobStatus.TIMEOUT,
                "Timeout",
                0,
            )

    async def test_a_thread_past_its_deadline_is_finished_and_runs_on__fault_15(self) -> None:
        """A thread that misses its deadline gets the flag, its job finishes, and it is counted."""
        async with self.bench(cancel_grace=1) as bench:
            call = await bench.begin("work", timeout=10)
            await bench.clock.advance(10.5)
            assert call.ctx.cancelled is True
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(1)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT
            assert (await bench.queue.stats()).abandoned == 1
            record = await bench.finish(await bench.begin("work"), "the slot is free")
            assert record.status is JobStatus.COMPLETED
            call.finish("nobody listens")
            call.join()
            assert (await bench.queue.stats()).abandoned == 0
            assert (await bench.record(call.job_id)).result is None

    async def test_a_thread_that_ends_within_its_grace_is_not_abandoned(self) -> None:
        """A sync handler that checks its flag in time finishes its job itself."""
        async with self.bench(cancel_grace=1) as bench:
            call = await bench.begin("work", timeout=10)
            await bench.clock.advance(10.5)
            record = await bench.finish(call, "too late")
            assert (record.status, record.result) == (JobStatus.TIMEOUT, None)
            assert (await bench.queue.stats()).abandoned == 0
