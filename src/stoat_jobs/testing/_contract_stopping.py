"""Promises about stopping a job: cancelling, grace, and handlers that resist."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from stoat_jobs import JobContext, JobResult, JobStatus

from ._bench import Bench
from ._promises import Promises


def log_of(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """The log records of one event of stoat-jobs."""
    return [record for record in caplog.records if record.getMessage() == event]


def assert_stopped(bench: Bench, record: JobResult[Any]) -> None:
    """*record* is that of a job that the shutdown has stopped."""
    assert record.cancel_requested is False
    if bench.capabilities.requeues_at_shutdown:
        assert (record.status, record.error_type) == (JobStatus.PENDING, None)
        assert (record.started_at, record.finished_at, record.result) == (None, None, None)
    else:
        assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Shutdown")


class StoppingPromises(Promises):
    """A job has one reason to stop, which is set once, and a bounded time to stop."""

    async def test_a_cancelled_pending_job_never_starts__fault_9(self) -> None:
        """A job cancelled while pending finishes at once, uses no slot, and is never called."""
        async with self.bench() as bench:
            blocker = await bench.begin()
            job_id = await bench.put()
            assert await bench.queue.cancel(job_id) is True
            record = await bench.queue.get_result(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert (record.started_at, record.cancel_requested) == (None, True)
            assert record.error
            await bench.finish(blocker)
            await bench.finish(await bench.begin())
            assert bench.calls_of(job_id) == []

    async def test_cancelling_an_async_handler_raises_in_it_at_once__fault_10(self) -> None:
        """A cancelled async handler gets the flag and ``CancelledError`` at once."""
        async with self.bench() as bench:
            call = await bench.begin()
            assert await bench.queue.cancel(call.job_id) is True
            assert call.ctx.cancelled is True
            record = await bench.record(call.job_id)
            assert (call.cancels, call.ended) == (1, True)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert record.cancel_requested is True
            assert record.error

    async def test_a_sync_handler_has_the_flag_alone__fault_10(self) -> None:
        """A cancelled sync handler gets the flag, and its return value is kept as partial work."""
        async with self.bench() as bench:
            call = await bench.begin("work")
            assert await bench.queue.cancel(call.job_id) is True
            assert call.ctx.cancelled is True
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            record = await bench.finish(call, {"done": "half"})
            assert (record.status, record.result) == (JobStatus.CANCELLED, {"done": "half"})

    async def test_a_cooperative_handler_has_the_flag_first__fault_10(self) -> None:
        """A cooperative handler gets ``CancelledError`` only after ``cancel_grace``."""
        async with self.bench(cancel_grace=2) as bench:
            call = await bench.begin("polite")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(1.9)
            assert (call.ctx.cancelled, call.cancels) == (True, 0)
            await bench.clock.advance(0.2)
            assert (call.cancels, call.ended) == (1, True)
            assert await bench.status(call.job_id) is JobStatus.CANCELLED

    async def test_a_cooperative_handler_may_end_by_itself(self) -> None:
        """A cooperative handler that checks its flag finishes without a ``CancelledError``."""
        async with self.bench(cancel_grace=2) as bench:
            call = await bench.begin("polite")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(1)
            record = await bench.finish(call, "at a safe point")
            assert (record.status, record.result) == (JobStatus.CANCELLED, "at a safe point")
            await bench.clock.advance(5)
            assert call.cancels == 0

    async def test_a_cooperative_handler_that_resists_is_finished_after_a_second_grace(
        self,
    ) -> None:
        """After the flag, a grace, ``CancelledError`` and a second grace, the job finishes."""
        async with self.bench(cancel_grace=2) as bench:
            bench.handlers.register("politely deaf", bench.deaf, cooperative=True)
            call = await bench.begin("politely deaf")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(3.9)
            assert (await bench.status(call.job_id), call.cancels) == (JobStatus.RUNNING, 1)
            await bench.clock.advance(0.2)
            assert (await bench.status(call.job_id), call.ended) == (JobStatus.CANCELLED, True)

    async def test_a_value_returned_after_a_cancel_is_kept__fault_10(self) -> None:
        """A value returned after a cancel is kept as the cancelled job's partial result."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def tidy(ctx: JobContext) -> str:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return "partial"
                return "whole"

            job_id = await bench.put("tidy")
            await bench.queue.cancel(job_id)
            record = await bench.record(job_id)
            assert (record.status, record.result) == (JobStatus.CANCELLED, "partial")
            assert record.error_type == "Cancelled"

    @pytest.mark.parametrize("retries", [0, 2])
    async def test_raising_after_a_cancel_is_cancelled_not_failed__fault_16(
        self, retries: int
    ) -> None:
        """A job cancelled in time ends as ``cancelled``, whatever its handler raises after that."""

        async def clumsy(ctx: JobContext) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                raise ValueError("while cleaning up")

        async with self.bench() as bench:
            bench.handlers.register("clumsy", clumsy, retries=retries)
            job_id = await bench.put("clumsy")
            await bench.queue.cancel(job_id)
            record = await bench.record(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert (record.attempt, record.result) == (0, None)

    async def test_a_group_of_cancelled_errors_is_a_cancel__fault_5(self) -> None:
        """A cancelled handler may raise a group of ``CancelledError`` from its child tasks."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def group(ctx: JobContext) -> None:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError as error:
                    inner = BaseExceptionGroup("inner", [asyncio.CancelledError()])
                    raise BaseExceptionGroup("outer", [error, inner]) from None

            job_id = await bench.put("group")
            await bench.queue.cancel(job_id)
            record = await bench.record(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")

    async def test_a_late_cancel_changes_nothing__fault_16(self) -> None:
        """``cancel`` of a finished job is False and does not change the record."""
        async with self.bench() as bench:
            for end in ("finish", "fail", "cancel", "timeout"):
                call = await bench.begin(timeout=5)
                await self._end(bench, call.job_id, end)
                before = await bench.record(call.job_id)
                assert before.status.is_terminal
                assert await bench.queue.cancel(call.job_id) is False
                assert await bench.record(call.job_id) == before

    async def _end(self, bench: Bench, job_id: str, end: str) -> None:
        call = await bench.call(job_id)
        if end == "finish":
            call.finish("whole")
        elif end == "fail":
            call.fail(ValueError())
        elif end == "cancel":
            await bench.queue.cancel(job_id)
        else:
            await bench.clock.advance(6)

    async def test_a_cancel_asked_again_is_true_again(self) -> None:
        """``cancel`` of a job that is still stopping after a cancel is True and changes nothing."""
        async with self.bench() as bench:
            call = await bench.begin("deaf")
            assert await bench.queue.cancel(call.job_id) is True
            await bench.clock.settle()
            assert await bench.queue.cancel(call.job_id) is True
            await bench.clock.settle()
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            assert (await bench.record(call.job_id)).cancel_requested is True

    async def test_a_cancel_during_a_timeout_is_false(self) -> None:
        """A job that its deadline is stopping ends as ``timeout``, even if it is cancelled then."""
        async with self.bench(cancel_grace=5) as bench:
            call = await bench.begin("deaf", timeout=10)
            await bench.clock.advance(11)
            assert await bench.queue.cancel(call.job_id) is False
            record = await bench.finish(call)
            assert (record.status, record.cancel_requested) == (JobStatus.TIMEOUT, False)

    async def test_a_cancel_that_comes_late_to_a_deadline_is_false(self) -> None:
        """A deadline that passed while the loop was blocked comes before a later cancel."""
        async with self.bench() as bench:
            call = await bench.begin(timeout=10)
            bench.clock.jump(11)
            assert await bench.queue.cancel(call.job_id) is False
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    async def test_a_deadline_during_a_cancel_changes_nothing(self) -> None:
        """A job that was cancelled first ends as ``cancelled``, even if its deadline passes."""
        async with self.bench(cancel_grace=5) as bench:
            call = await bench.begin("deaf", timeout=10)
            await bench.clock.advance(9)
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(2)
            record = await bench.finish(call, "partial")
            assert (record.status, record.result) == (JobStatus.CANCELLED, "partial")

    async def test_a_handler_may_cancel_its_own_job(self) -> None:
        """A job that cancels itself ends as ``cancelled``, and its return value is kept."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def resign(ctx: JobContext) -> bool:
                answer: bool = await ctx.queue.cancel(ctx.job_id)
                return answer and ctx.cancelled

            record = await bench.run("resign")
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert record.result is True

    async def test_raise_if_cancelled_raises_cancelled_error_in_threads_too(self) -> None:
        """``raise_if_cancelled`` raises asyncio's own ``CancelledError`` in a sync handler."""
        async with self.bench() as bench:
            caught: list[BaseException] = []
            work = bench.work

            def polite(ctx: JobContext) -> None:
                work(ctx)
                try:
                    ctx.raise_if_cancelled()
                except BaseException as error:
                    caught.append(error)
                    raise

            bench.handlers.register("polite thread", polite)
            job_id = await bench.put("polite thread")
            call = await bench.call(job_id)
            await bench.queue.cancel(job_id)
            record = await bench.finish(call)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert [type(error) for error in caught] == [asyncio.CancelledError]

    async def test_no_cancel_is_lost_in_the_tick_of_the_return__fault_11(self) -> None:
        """If a cancel meets the handler's return, the outcome is what ``cancel`` answered."""
        async with self.bench() as bench:
            for number in range(100 if bench.capabilities.cross_process else 2000):
                call = await bench.begin()
                if number % 2:
                    call.finish("finished")
                    asked = await bench.queue.cancel(call.job_id)
                else:
                    asked = await bench.queue.cancel(call.job_id)
                    call.finish("finished")
                record = await bench.queue.wait(call.job_id)
                assert (record.status is JobStatus.CANCELLED) == asked
                assert record.cancel_requested == asked

    @pytest.mark.parametrize("ticks", range(4))
    async def test_a_cancel_at_any_tick_is_kept__fault_11(self, ticks: int) -> None:
        """However soon after it can be seen a job is cancelled, it ends as ``cancelled``."""
        async with self.bench() as bench:
            for job_type in ("hold", "work", "deaf"):
                bench.shut_gates()
                before = len(await bench.queue.list_jobs())
                submission = bench.submit(job_type)
                while len(jobs := await bench.queue.list_jobs()) == before:
                    await asyncio.sleep(0)
                job_id = jobs[0].job_id
                for _ in range(ticks):
                    await asyncio.sleep(0)
                assert await bench.queue.cancel(job_id) is True
                bench.open_gates()
                record = await bench.queue.wait(job_id)
                assert (record.status, await submission) == (JobStatus.CANCELLED, job_id)
