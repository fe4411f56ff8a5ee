"""Promises about hostile objects that handlers raise, await or leave behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import FinishedEvent, JobContext, JobObserver, JobResult, JobStatus

from ._bench import Bench
from ._contract_stopping import assert_stopped
from ._hostile import SHAPES, EndlessGroup, HidingGroup, hostile_errors
from ._promises import Promises

# Seconds: less than a loop can tell apart, and what is not a whole number of milliseconds.
ODD_LIMITS = [0.0003, 0.0123, 1.0003, 1.00049, 2.0]


class Ends(JobObserver):
    """Records the finished events."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def finished(self, event: FinishedEvent) -> None:
        self.told.append(event.record.job_id)


class StubbornFuture(asyncio.Future[None]):
    """Refuses to be cancelled."""

    def cancel(self, msg: Any = None) -> bool:
        raise RuntimeError("cannot be cancelled")


def text_is_ours(record: JobResult[Any]) -> bool:
    """Whether the texts of an error are plain, on one line, and not empty."""
    texts = (record.error, record.error_type)
    return all(type(text) is str and text and text.isprintable() for text in texts)


class HostilePromises(Promises):
    """Every job finishes, and its slot is free again, whatever its handler raises or awaits."""

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    @pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: shape.__name__.strip("_"))
    async def test_whatever_looking_at_an_exception_does_its_job_fails__fault_56(
        self, shape: Callable[..., Any], threaded: bool
    ) -> None:
        """Whatever an exception's special methods do, its job fails with a printable text."""
        ends = Ends()
        errors = list(hostile_errors(shape))
        assert len(errors) > 200

        def raise_next(ctx: JobContext) -> None:
            raise next(left)

        async def raise_next_async(ctx: JobContext) -> None:
            raise_next(ctx)

        async with self.bench([ends], max_results=10_000) as bench:
            if bench.capabilities.cross_process:
                errors = errors[threaded::10]  # each costs many answers of a server
            left = iter(errors)
            bench.handlers.register("hostile", raise_next if threaded else raise_next_async)
            for number in range(len(errors)):
                record = await bench.run("hostile")
                assert record.status is JobStatus.FAILED, repr(number)
                assert text_is_ours(record)
            await bench.clock.settle()
            assert len(ends.told) == len(errors)
            assert (await bench.finish(await bench.begin(), 1)).result == 1

    @pytest.mark.parametrize("kind", [EndlessGroup, HidingGroup])
    async def test_a_group_that_is_not_what_it_says_fails_its_job__fault_56(
        self, kind: Callable[..., ExceptionGroup[Exception]]
    ) -> None:
        """A group that contains itself, or exits the process when it is read, fails its job."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.fail(kind("several", [ValueError("x")]))
            record = await bench.queue.wait(call.job_id)
            assert (record.status, text_is_ours(record)) == (JobStatus.FAILED, True)
            assert (await bench.finish(await bench.begin(), 1)).result == 1

    async def test_a_group_of_groups_of_the_same_is_read_once__fault_56(self) -> None:
        """A group that repeats its members at each of many levels fails its job at once."""
        error: Any = ValueError("x")
        for _ in range(60):
            error = ExceptionGroup("twice", [error, error])
        async with self.bench() as bench:
            call = await bench.begin()
            call.fail(error)
            record = await bench.queue.wait(call.job_id)
            assert (record.status, text_is_ours(record)) == (JobStatus.FAILED, True)

    @pytest.mark.parametrize("why", ["cancel", "deadline"])
    async def test_a_future_that_refuses_its_cancel_costs_one_grace__fault_55(
        self, why: str
    ) -> None:
        """A job finishes after its grace although its handler awaits what refuses cancellation."""
        async with self.bench(cancel_grace=3) as bench:
            stubborn = StubbornFuture()

            @bench.handlers.job(timeout=10)
            async def stuck(ctx: JobContext) -> None:
                await stubborn

            job_id = await bench.put("stuck")
            if why == "cancel":
                assert await bench.queue.cancel(job_id) is True
            await bench.clock.advance(3.1 if why == "cancel" else 13.1)
            expected = JobStatus.CANCELLED if why == "cancel" else JobStatus.TIMEOUT
            assert await bench.status(job_id) is expected
            call = await bench.begin(timeout=10)
            await bench.clock.advance(10.1)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT
            stubborn.set_result(None)
            assert await bench.status(job_id) is expected

    @pytest.mark.parametrize("limit", ODD_LIMITS)
    async def test_a_limit_holds_for_every_job_that_has_it__fault_54(self, limit: float) -> None:
        """Of many jobs with the same time limit each is stopped by it, even by a very short one."""
        async with self.bench() as bench:
            for _ in range(20):
                job_id = await bench.put(timeout=limit)
                await bench.clock.advance(limit + 0.001)
                assert await bench.status(job_id) is JobStatus.TIMEOUT
                await bench.clock.advance(0.00037)

    @pytest.mark.parametrize("why", ["cancel", "deadline", "shutdown"])
    async def test_what_a_thread_runs_on_the_loop_is_cancelled_with_its_job__fault_72(
        self, why: str
    ) -> None:
        """Whatever ``from_thread`` is running is cancelled when its job is told to stop."""
        noted: list[str] = []
        began = asyncio.Event()

        async def slow() -> None:
            began.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                noted.append("coroutine")
                raise

        def asking(ctx: JobContext) -> None:
            try:
                ctx.from_thread(slow)
            except asyncio.CancelledError:
                noted.append("thread")
                raise

        async with self.bench(drain_timeout=0, cancel_grace=10) as bench:
            bench.handlers.register("asking", asking, timeout=10)
            bench.submit("asking")
            await began.wait()
            job_id = (await bench.queue.list_jobs())[0].job_id
            stop = asyncio.ensure_future(self._stop(bench, job_id, why))
            await bench.clock.settle()
            assert noted[:1] == ["coroutine"]  # at once
            await stop
            if why == "shutdown":
                assert_stopped(bench, await bench.record(job_id))
            else:
                expected = JobStatus.TIMEOUT if why == "deadline" else JobStatus.CANCELLED
                assert (await bench.queue.wait(job_id)).status is expected
            assert noted == ["coroutine", "thread"]

    async def _stop(self, bench: Bench, job_id: str, why: str) -> None:
        if why == "cancel":
            assert await bench.queue.cancel(job_id) is True
        elif why == "deadline":
            bench.clock.jump(10.1)
        else:
            await bench.queue.__aexit__(None, None, None)

    async def test_after_its_end_a_job_runs_nothing_on_the_loop__fault_72(self) -> None:
        """A thread that outlives its job cannot start anything on the event loop."""
        noted: list[str] = []
        ran: list[str] = []
        go_on, over = threading.Event(), asyncio.Event()

        async def late() -> None:
            ran.append("it")

        async with self.bench(cancel_grace=1) as bench:

            def outliving(ctx: JobContext) -> None:
                go_on.wait()
                try:
                    ctx.from_thread(late)
                except asyncio.CancelledError:
                    noted.append("refused")
                bench.clock.call_soon_threadsafe(over.set)

            bench.handlers.register("outliving", outliving)
            job_id = await bench.put("outliving")
            await bench.queue.cancel(job_id)
            await bench.clock.advance(1.1)
            assert await bench.status(job_id) is JobStatus.CANCELLED
            go_on.set()
            await over.wait()
            assert (noted, ran) == (["refused"], [])
