"""Promises about handlers that do not stop when they are told to."""

from __future__ import annotations

import asyncio
import logging

import pytest

from stoat_jobs import JobContext, JobStatus

from ._promises import Promises


def log_of(caplog: pytest.LogCaptureFixture, event: str) -> list[logging.LogRecord]:
    """The log records of one event of stoat-jobs."""
    return [record for record in caplog.records if record.getMessage() == event]


class ResistingPromises(Promises):
    """What happens to handlers that do not stop."""

    @pytest.mark.parametrize("why", ["cancel", "deadline"])
    async def test_a_handler_that_resists_is_finished_when_its_grace_is_over__fault_13(
        self, why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A handler that swallows its cancellation keeps its slot for only ``cancel_grace``."""
        async with self.bench(cancel_grace=3) as bench:
            call = await bench.begin("deaf", timeout=10)
            await bench.clock.advance(9 if why == "cancel" else 10)
            if why == "cancel":
                assert await bench.queue.cancel(call.job_id) is True
            await bench.clock.advance(2.9)
            assert (await bench.status(call.job_id), call.ended) == (JobStatus.RUNNING, False)
            await bench.clock.advance(0.2)
            expected = JobStatus.CANCELLED if why == "cancel" else JobStatus.TIMEOUT
            assert await bench.status(call.job_id) is expected
            assert (await bench.queue.stats()).slots_in_use == 0
            assert [each.job_type for each in log_of(caplog, "job_abandoned")] == ["deaf"]  # type: ignore[attr-defined]
            assert (await bench.finish(await bench.begin(), 1)).result == 1

    async def test_the_coroutine_of_a_handler_that_resists_is_closed__fault_13(self) -> None:
        """An abandoned coroutine is closed, so that it neither runs on nor is counted."""
        async with self.bench(cancel_grace=3) as bench:
            call = await bench.begin("deaf")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(3.1)
            assert call.ended is True
            assert (await bench.queue.stats()).abandoned == 0

    async def test_a_coroutine_that_resists_its_closing_too_is_closed_again__fault_13(self) -> None:
        """A handler that awaits while it is being closed is stopped all the same."""
        async with self.bench(cancel_grace=1) as bench:

            @bench.handlers.job
            async def twice(ctx: JobContext) -> None:
                try:
                    await bench.deaf(ctx)
                finally:
                    await bench.deaf(ctx)

            job_id = await bench.put("twice")
            await bench.queue.cancel(job_id)
            await bench.clock.advance(1.1)
            assert await bench.status(job_id) is JobStatus.CANCELLED
            assert [call.ended for call in bench.calls] == [True, True]
            assert (await bench.queue.stats()).abandoned == 0

    async def test_grace_may_be_zero(self) -> None:
        """With a grace of 0 a job finishes as soon as it is told to stop."""
        async with self.bench(cancel_grace=0) as bench:
            call = await bench.begin("deaf")
            await bench.queue.cancel(call.job_id)
            await bench.clock.settle()
            assert (await bench.status(call.job_id), call.ended) == (JobStatus.CANCELLED, True)

    async def test_a_swallowed_cancel_does_not_hurt_the_next_job__fault_14(self) -> None:
        """A handler's own time limits work, whatever the previous job did with its cancellation."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def limited(ctx: JobContext) -> str:
                try:
                    await asyncio.wait_for(asyncio.get_running_loop().create_future(), 5)
                except TimeoutError:
                    return "timed out"
                return "never"

            deaf = await bench.begin("deaf")
            await bench.queue.cancel(deaf.job_id)
            await bench.clock.settle()
            await bench.finish(deaf)
            job_id = await bench.put("limited")
            await bench.clock.advance(5)
            assert (await bench.record(job_id)).result == "timed out"
