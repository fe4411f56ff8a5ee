"""Promises of durable backends that give back to their store what the shutdown stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import (
    FinishedEvent,
    JobContext,
    JobObserver,
    JobStatus,
    QueueClosedError,
)

from ._contract_stopping import assert_stopped
from ._promises import Promises, needs


class Ends(JobObserver):
    """Notes which jobs it was told the end of."""

    def __init__(self) -> None:
        self.job_ids: list[str] = []

    def finished(self, event: FinishedEvent) -> None:
        self.job_ids.append(event.record.job_id)


class RequeuePromises(Promises):
    """A job that the shutdown stops waits again, and runs from its beginning at the next start."""

    @needs("requeues_at_shutdown")
    @pytest.mark.parametrize("job_type", ["hold", "polite", "deaf", "work"])
    async def test_what_the_shutdown_stops_waits_again(self, job_type: str) -> None:
        """Its record says that it waits and never started, and nobody is told that it finished."""
        ends = Ends()
        async with self.bench([ends], drain_timeout=1, cancel_grace=2) as bench:
            call = await bench.begin(job_type, {"n": 1}, metadata={"by": "Ada"})
            call.ctx.set_progress(0.5, "half")
            before = await bench.record(call.job_id)
            await bench.close()
            assert call.ctx.cancelled is True
            record = await bench.record(call.job_id)
            assert_stopped(bench, record)
            assert (record.progress, record.message, record.attempt) == (None, None, 0)
            assert (record.metadata, record.submitted_at) == ({"by": "Ada"}, before.submitted_at)
            assert (await bench.queue.stats()).by_status[JobStatus.PENDING] == 1
            assert ends.job_ids == []

    @needs("requeues_at_shutdown")
    async def test_what_was_stopped_runs_first_in_the_next_life(self) -> None:
        """It runs from its beginning with what was submitted, before all that came later."""
        async with self.bench(concurrency=2, drain_timeout=0) as old:
            first = await old.begin("hold", {"n": 1})
            second = await old.begin("deaf", {"n": 2}, timeout=70)
            third = await old.put("hold", {"n": 3})
            await old.close()
        async with self.bench(concurrency=1) as bench:
            ids = [first.job_id, second.job_id, third]
            for number, job_id in enumerate(ids, 1):
                call = await bench.call(job_id)
                assert (call.payload, call.ctx.attempt) == ({"n": number}, 0)
                assert (await bench.record(job_id)).progress is None
                assert (await bench.finish(call, number)).result == number
            assert [call.job_id for call in bench.calls] == ids

    @needs("requeues_at_shutdown")
    async def test_who_waits_for_what_was_stopped_is_told(self) -> None:
        """``wait`` and ``watch`` of a job that goes on raise that the queue is closed."""
        async with self.bench(drain_timeout=1) as bench:
            call = await bench.begin("deaf")
            watching = bench.watching(call.job_id)
            waiting = asyncio.ensure_future(bench.queue.wait(call.job_id))
            await bench.clock.settle()
            await bench.close()
            late = asyncio.ensure_future(bench.queue.wait(call.job_id))
            tasks = [watching.task, waiting, late]
            errors = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(error) for error in errors] == [QueueClosedError] * 3
            with pytest.raises(QueueClosedError):
                await bench.queue.cancel(call.job_id)

    @needs("requeues_at_shutdown")
    async def test_a_partial_result_of_what_was_stopped_is_dropped(self) -> None:
        """What its handler returns when the shutdown stops it is not kept: it runs again."""

        async def tidy(ctx: JobContext) -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "partial"
            return "whole"

        async with self.bench(drain_timeout=1) as bench:
            bench.handlers.register("tidy", tidy)
            job_id = await bench.put("tidy")
            await bench.close()
            assert_stopped(bench, await bench.record(job_id))
            await bench.open()
            await bench.clock.advance(61)
            assert (await bench.queue.wait(job_id)).result == "whole"

    @needs("requeues_at_shutdown")
    async def test_an_error_of_what_was_stopped_is_no_failure(self) -> None:
        """A handler that raises when the shutdown stops it is run again, as any other."""

        async def clumsy(ctx: JobContext) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                raise ValueError("while cleaning up")

        async with self.bench(drain_timeout=1) as bench:
            bench.handlers.register("clumsy", clumsy)
            job_id = await bench.put("clumsy")
            await bench.close()
            assert_stopped(bench, await bench.record(job_id))

    @needs("requeues_at_shutdown")
    async def test_what_finishes_while_the_queue_drains_has_finished(self) -> None:
        """A job that ends by itself within ``drain_timeout`` ends as it would have."""
        async with self.bench(concurrency=2, drain_timeout=10) as bench:
            good, bad = await bench.begin(), await bench.begin()
            closing = asyncio.ensure_future(bench.close())
            await asyncio.sleep(0)
            good.finish("whole")
            bad.fail(ValueError("no"))
            await closing
            await bench.open()
            assert (await bench.record(good.job_id)).result == "whole"
            record = await bench.record(bad.job_id)
            assert (record.status, record.error) == (JobStatus.FAILED, "no")
            assert len(bench.calls) == 2

    @needs("requeues_at_shutdown")
    async def test_what_a_caller_cancelled_does_not_go_on(self) -> None:
        """A job that was being cancelled when the shutdown came ends as ``cancelled``."""
        async with self.bench(drain_timeout=1, cancel_grace=50) as bench:
            call = await bench.begin("polite")
            assert await bench.queue.cancel(call.job_id) is True
            await bench.close()
            assert await bench.queue.get_status(call.job_id) is JobStatus.CANCELLED
            await bench.open()
            record = await bench.record(call.job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert record.cancel_requested is True
            assert len(bench.calls) == 1

    @needs("requeues_at_shutdown")
    async def test_what_its_deadline_stopped_does_not_go_on(self) -> None:
        """A job whose time limit passed before the shutdown stopped it ends as ``timeout``."""
        async with self.bench(drain_timeout=10, cancel_grace=1) as bench:
            call = await bench.begin("deaf", timeout=5)
            await bench.close()
            await bench.open()
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT
            assert len(bench.calls) == 1

    @needs("requeues_at_shutdown", "waits_between_attempts")
    async def test_a_job_between_two_attempts_goes_on(self) -> None:
        """It is given back at once, and the next queue runs it with all of its attempts."""
        async with self.bench(drain_timeout=300) as bench:
            call = await bench.begin("retrying")
            call.ctx.update_metadata(page=3)
            call.fail(ValueError("no"))
            await bench.clock.settle()
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() == begun
            assert_stopped(bench, await bench.record(call.job_id))
            await bench.open()
            for attempt in range(4):  # it has three retries
                again = await bench.call_number(1 + attempt)
                assert (again.ctx.attempt, dict(again.ctx.metadata)) == (attempt, {"page": 3})
                again.fail(ValueError("still no"))
                await bench.clock.advance(10)
            assert await bench.status(call.job_id) is JobStatus.FAILED

    @needs("requeues_at_shutdown")
    async def test_orderly_stops_are_no_deaths(self) -> None:
        """However often the shutdown stops a job, it runs again, and may complete."""
        async with self.bench(drain_timeout=0) as bench:
            call = await bench.begin()
            for stops in range(1, 6):
                await bench.close()
                await bench.open()
                call = await bench.call_number(stops)
            assert (await bench.finish(call, "at last")).result == "at last"
            assert {each.job_id for each in bench.calls} == {call.job_id}

    @needs("requeues_at_shutdown")
    async def test_what_was_stopped_holds_its_key(self) -> None:
        """Also in the next life, and a kept key as long as the record is kept."""
        options: dict[str, Any] = {"key": "k", "unique": "kept"}
        async with self.bench(concurrency=2, drain_timeout=0) as old:
            live = (await old.begin("deaf", key="k")).job_id
            kept = (await old.begin("hold", **options)).job_id
            await old.close()
        async with self.bench(concurrency=2) as bench:
            assert await bench.queue.submit("deaf", {}, key="k") == live
            await bench.finish(await bench.call(kept))
            assert await bench.queue.submit("hold", {}, **options) == kept
