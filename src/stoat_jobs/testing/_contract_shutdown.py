"""Promises about starting, draining, stopping, and starting again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stoat_jobs import JobContext, JobResult, JobStatus, QueueClosedError

from ._bench import Bench
from ._contract_stopping import assert_stopped, log_of
from ._promises import Promises, needs, unless


def assert_failed_or_waits(bench: Bench, record: JobResult[Any]) -> None:
    """*record* is that of a job with retries left that failed as the queue closed."""
    if bench.capabilities.requeues_at_shutdown:
        assert_stopped(bench, record)
    else:
        assert (record.status, record.error) == (JobStatus.FAILED, "no")


class ShutdownPromises(Promises):
    """The shutdown finishes every job in a bounded time, and the queue may be started again."""

    @unless("durable")
    async def test_pending_jobs_are_finished_as_the_stop_begins__fault_19(self) -> None:
        """The shutdown cancels pending jobs at once, and their records say why."""
        async with self.bench() as bench:
            call = await bench.begin()
            waiting = [await bench.put() for _ in range(3)]
            closing = asyncio.ensure_future(bench.close())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for job_id in waiting:
                record = await bench.queue.get_result(job_id)
                assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Shutdown")
                assert (record.started_at, record.cancel_requested) == (None, False)
                assert record.error
            await closing
            assert {each.job_id for each in bench.calls} == {call.job_id}

    async def test_running_jobs_may_finish_while_the_queue_drains(self) -> None:
        """A job that finishes within ``drain_timeout`` completes, and the shutdown ends then."""
        async with self.bench(drain_timeout=10) as bench:
            call = await bench.begin()
            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            await bench.clock.advance(9)
            assert (call.ctx.cancelled, closing.done()) == (False, False)
            record = await bench.finish(call, "just in time")
            await bench.clock.settle()
            assert (record.status, record.result) == (JobStatus.COMPLETED, "just in time")
            assert closing.done()

    async def test_what_still_runs_after_the_drain_is_stopped__fault_19(self) -> None:
        """A job that outlasts ``drain_timeout`` is told to stop; its record says why, or waits."""
        async with self.bench(drain_timeout=10) as bench:
            call = await bench.begin()
            await bench.close()
            assert_stopped(bench, await bench.record(call.job_id))
            assert (call.ctx.cancelled, call.cancels) == (True, 1)

    @unless("requeues_at_shutdown")
    async def test_a_value_returned_during_the_shutdown_is_kept(self) -> None:
        """The partial result of a job that the shutdown stopped is kept."""
        async with self.bench(drain_timeout=1) as bench:

            @bench.handlers.job
            async def tidy(ctx: JobContext) -> str:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return "partial"
                return "whole"

            job_id = await bench.put("tidy")
            await bench.close()
            record = await bench.record(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Shutdown")
            assert record.result == "partial"

    @pytest.mark.parametrize("job_type", ["hold", "polite", "deaf", "politely deaf", "work"])
    async def test_the_stop_is_bounded_whatever_a_handler_does__fault_20(
        self, job_type: str
    ) -> None:
        """The shutdown takes at most ``drain_timeout + 2 * cancel_grace + 1`` seconds."""
        async with self.bench(drain_timeout=10, cancel_grace=3) as bench:
            bench.handlers.register("politely deaf", bench.deaf, cooperative=True)
            call = await bench.begin(job_type)
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() - begun <= 10 + 2 * 3 + 1
            assert_stopped(bench, await bench.queue.get_result(call.job_id))
            assert (await bench.queue.stats()).slots_in_use == 0

    async def test_an_idle_queue_is_left_at_once(self) -> None:
        """Without running jobs the shutdown takes no time."""
        async with self.bench(drain_timeout=10) as bench:
            await bench.finish(await bench.begin())
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() == begun

    async def test_without_drain_and_grace_the_stop_takes_no_time(self) -> None:
        """With both limits at 0 the shutdown stops everything at once."""
        async with self.bench(drain_timeout=0, cancel_grace=0) as bench:
            call = await bench.begin("deaf")
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() == begun
            assert_stopped(bench, await bench.record(call.job_id))

    async def test_every_waiter_and_watcher_is_woken_by_the_stop__fault_19(self) -> None:
        """Everyone who waits for a job is woken when the queue stops."""
        async with self.bench() as bench:
            ids = [(await bench.begin("deaf")).job_id]
            if not bench.capabilities.durable:
                ids.append(await bench.put())
            watches = [bench.watching(job_id) for job_id in ids]
            waits = [asyncio.ensure_future(bench.queue.wait(job_id)) for job_id in ids]
            await bench.clock.settle()
            await bench.close()
            await bench.clock.settle()
            assert {task.done() for task in (*waits, *(each.task for each in watches))} == {True}
            if bench.capabilities.requeues_at_shutdown:
                errors = [task.exception() for task in (*waits, *(each.task for each in watches))]
                assert {type(error) for error in errors} == {QueueClosedError}
            else:
                assert {wait.result().error_type for wait in waits} == {"Shutdown"}
                assert {watch.statuses[-1] for watch in watches} == {JobStatus.CANCELLED}

    async def test_a_stream_made_of_a_watch_ends_with_the_queue__fault_25(self) -> None:
        """An endpoint that streams a watch ends when the queue stops."""
        async with self.bench() as bench:
            call = await bench.begin("deaf")
            sent: list[JobStatus] = []

            async def stream() -> AsyncIterator[JobStatus]:
                async for record in bench.queue.watch(call.job_id):
                    yield record.status

            async def serve() -> None:
                async for status in stream():
                    sent.append(status)  # noqa: PERF401 - what was sent before an error counts

            serving = asyncio.ensure_future(serve())
            await bench.clock.settle()
            assert not serving.done()
            await bench.close()
            await bench.clock.settle()
            assert serving.done()
            if bench.capabilities.requeues_at_shutdown:
                assert isinstance(serving.exception(), QueueClosedError)
            else:
                assert sent[-1] is JobStatus.CANCELLED

    async def test_a_closing_queue_takes_no_more_work__fault_21(self) -> None:
        """During the shutdown the queue refuses submissions, even from its own handlers."""
        async with self.bench() as bench:
            call = await bench.begin()
            refused: list[Exception] = []

            async def add_more() -> None:
                try:
                    await call.ctx.queue.submit("hold", {})
                except QueueClosedError as error:
                    refused.append(error)

            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            await bench.clock.settle()
            with pytest.raises(QueueClosedError):
                await bench.queue.submit("hold", {})
            await add_more()
            await bench.finish(call)
            await closing
            assert len(refused) == 1
            assert len(await bench.queue.list_jobs()) == 1

    async def test_a_job_may_be_cancelled_while_the_queue_drains(self) -> None:
        """A job can be cancelled during the drain, which then ends early."""
        async with self.bench(drain_timeout=10) as bench:
            call = await bench.begin()
            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            await bench.clock.settle()
            assert await bench.queue.cancel(call.job_id) is True
            await bench.clock.settle()
            record = await bench.record(call.job_id)
            assert (record.error_type, record.cancel_requested) == ("Cancelled", True)
            assert closing.done()

    async def test_a_cancel_after_the_shutdowns_own_is_false(self) -> None:
        """A job that the shutdown has told to stop cannot be cancelled any more."""
        async with self.bench(drain_timeout=1, cancel_grace=5) as bench:
            call = await bench.begin("deaf")
            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            await bench.clock.advance(2)
            assert await bench.queue.cancel(call.job_id) is False
            await bench.clock.drive(closing)
            assert (await bench.record(call.job_id)).cancel_requested is False

    async def test_no_attempt_begins_once_closing(self) -> None:
        """A job that fails during the drain is not retried by this queue."""
        async with self.bench(drain_timeout=300, timeout=1000) as bench:
            call = await bench.begin("retrying")
            closing = asyncio.ensure_future(bench.close())
            await asyncio.sleep(0)
            call.fail(ValueError("no"))
            await closing
            assert_failed_or_waits(bench, await bench.record(call.job_id))
            assert len(bench.calls) == 1

    @needs("waits_between_attempts")
    async def test_a_job_between_two_attempts_fails_as_the_stop_begins(self) -> None:
        """A job that waits for its next attempt fails at once, with its last error, or waits on."""
        async with self.bench(drain_timeout=300, timeout=1000) as bench:
            call = await bench.begin("retrying")
            call.fail(ValueError("no"))
            await bench.clock.settle()
            begun = bench.clock.time()
            await bench.close()
            assert_failed_or_waits(bench, await bench.record(call.job_id))
            assert bench.clock.time() == begun

    @pytest.mark.parametrize("seconds", [0, 2, 11, 14], ids=["at once", "drain", "stop", "grace"])
    async def test_a_cancelled_shutdown_still_finishes_every_job__fault_26(
        self, seconds: float
    ) -> None:
        """Even if the shutdown itself is cancelled, no job runs when it returns."""
        async with self.bench(drain_timeout=10, cancel_grace=3) as bench:
            bench.handlers.register("politely deaf", bench.deaf, cooperative=True)
            ids = [await bench.put("politely deaf"), await bench.put("work")]
            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            if seconds:
                await bench.clock.advance(seconds)
            else:
                await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            first, second = [await bench.queue.get_result(job_id) for job_id in ids]
            assert_stopped(bench, first)
            waiting = None if bench.capabilities.durable else "Shutdown"
            assert second.error_type == waiting
            assert JobStatus.RUNNING not in (first.status, second.status)
            assert bench.queue.started is False

    async def test_an_error_in_the_body_is_not_swallowed(self) -> None:
        """If ``async with`` is left by an error, the queue stops and the error propagates."""
        bench = await self.new_bench()
        with pytest.raises(ZeroDivisionError):
            async with bench.queue:
                raise ZeroDivisionError
        assert bench.queue.started is False

    async def test_nothing_is_left_in_the_loop_after_the_stop__fault_8(self) -> None:
        """After the shutdown the queue has no task and no timer in the event loop."""
        async with self.bench() as bench:
            await bench.clock.settle()
            before = asyncio.all_tasks()
            await bench.finish(await bench.begin())
            await bench.put("deaf")
            await bench.put()
            await bench.close()
            await bench.clock.settle()
            assert asyncio.all_tasks() - before - set(bench.submissions) == set()
            assert bench.clock.next_timer() == float("inf")

    @unless("durable")
    async def test_what_waits_at_the_stop_is_one_line_of_the_log__fault_66(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """However many pending jobs the shutdown cancels, the log has one line for all."""
        async with self.bench() as bench:
            await bench.begin()
            waiting = [await bench.put() for _ in range(20)]
            await bench.close()
        lines = log_of(caplog, "jobs_cancelled")
        said = [(line.levelname, line.count, line.job_ids) for line in lines]  # type: ignore[attr-defined]
        assert said == [("WARNING", 20, ",".join(waiting[:5]))]
        told = {record.job_id for record in log_of(caplog, "job_cancelled")}  # type: ignore[attr-defined]
        assert told.isdisjoint(waiting)

    async def test_the_log_tells_the_life_of_a_queue(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Start, drain and stop are one log line each, and jobs that were cut off are warnings."""
        caplog.set_level(logging.INFO, "stoat_jobs")
        async with self.bench(drain_timeout=1) as bench:
            lost = [await bench.put("deaf")]
            if not bench.capabilities.durable:
                lost.append(await bench.put())
            await bench.close()
        names = [record.getMessage() for record in caplog.records]
        for name in ("worker_started", "queue_draining", "worker_stopped"):
            assert names.count(name) == 1
        assert names.index("worker_started") < names.index("queue_draining")
        assert names[-1] == "worker_stopped"
        cut_off = {record.job_id: record for record in log_of(caplog, "job_cancelled")}  # type: ignore[attr-defined]
        if bench.capabilities.requeues_at_shutdown:
            assert cut_off == {}
        else:
            assert {cut_off[job_id].levelname for job_id in lost} == {"WARNING"}
            assert {cut_off[job_id].error_type for job_id in lost} == {"Shutdown"}  # type: ignore[attr-defined]
