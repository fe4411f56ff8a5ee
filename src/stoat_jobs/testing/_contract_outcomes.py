"""Promises about how a job finishes when its handler returns or raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import JobContext, JobResult, JobStatus

from ._bench import Bench
from ._clock import fake_clock_loop
from ._promises import Promises, needs


class OwnBaseError(BaseException):
    """A handler's own error that is not an ``Exception``."""


class UnprintableError(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raising(error: Callable[[], BaseException]) -> Callable[[JobContext], Any]:
    """A sync handler that raises *error*."""

    def handler(ctx: JobContext) -> None:
        raise error()

    return handler


def awaiting(handler: Callable[[JobContext], Any]) -> Callable[[JobContext], Any]:
    """*handler* as an async one."""

    async def run(ctx: JobContext) -> Any:
        return handler(ctx)

    return run


async def outcome_of(bench: Bench, handler: Callable[..., Any], **options: Any) -> JobResult[Any]:
    """The terminal record of a job with this handler; checks that the queue still works."""
    bench.handlers.register("it", handler, **options)
    record = await bench.run("it")
    after = await bench.finish(await bench.begin(), "next")
    assert (after.status, after.result) == (JobStatus.COMPLETED, "next")
    return record


CALAMITIES = [
    ValueError,
    SystemExit,
    GeneratorExit,
    OwnBaseError,
    UnprintableError,
    StopIteration,
    StopAsyncIteration,
    asyncio.CancelledError,
    asyncio.InvalidStateError,
]


class OutcomePromises(Promises):
    """What a handler returns or raises decides the outcome, and never stops a slot or the app."""

    async def test_a_returned_value_completes_the_job(self) -> None:
        """A job whose handler returns is completed, with the value and all fields set."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"a": "b"})
            call.ctx.set_progress(0.5, "half")
            await bench.clock.advance(10)
            record = await bench.finish(call, {"files": 3})
            assert (record.status, record.result) == (JobStatus.COMPLETED, {"files": 3})
            assert (record.error, record.error_type, record.attempt) == (None, None, 0)
            assert (record.progress, record.message) == (0.5, "half")
            assert (record.job_id, record.job_type) == (call.job_id, "hold")
            assert (record.metadata, record.cancel_requested) == ({"a": "b"}, False)

    async def test_each_job_has_its_own_result(self) -> None:
        """A job's result is that of its own handler, in whatever order jobs finish."""
        async with self.bench() as bench:
            calls = []
            for value in range(1, 4):
                calls.append(await bench.begin())
                await bench.finish(calls[-1], value)
            for value, call in enumerate(calls, start=1):
                assert (await bench.queue.get_result(call.job_id)).result == value

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    @pytest.mark.parametrize("error", CALAMITIES)
    async def test_whatever_a_handler_raises_fails_the_job_and_the_next_runs__faults_1_2_3(
        self, error: type[BaseException], threaded: bool
    ) -> None:
        """Any exception fails only its job, with the exception's type, and the next job runs."""
        async with self.bench() as bench:
            handler = raising(error)
            record = await outcome_of(bench, handler if threaded else awaiting(handler))
            assert record.status is JobStatus.FAILED
            assert record.error
            expected = {error.__name__}
            if error is StopIteration and not threaded:
                expected = {"RuntimeError"}  # Python itself replaces it in a coroutine
            assert {record.error_type} == expected

    async def test_a_keyboard_interrupt_in_a_thread_fails_the_job(self) -> None:
        """A ``KeyboardInterrupt`` from a sync handler fails its job: it is not a real Ctrl-C."""
        async with self.bench() as bench:
            record = await outcome_of(bench, raising(KeyboardInterrupt))
            assert (record.status, record.error_type) == (JobStatus.FAILED, "KeyboardInterrupt")

    def test_a_keyboard_interrupt_on_the_loops_thread_finishes_the_job_and_propagates__fault_2(
        self,
    ) -> None:
        """A real Ctrl-C stops the app and leaves no job running."""
        with fake_clock_loop(self.loop_factory) as loop:
            bench = loop.run_until_complete(self._interrupted())
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(bench.put("interrupted"))
            loop.run_until_complete(loop.settle())
            jobs = loop.run_until_complete(bench.queue.list_jobs())
            loop.run_until_complete(bench.close())
        assert [(job.status, job.error_type) for job in jobs] == [
            (JobStatus.FAILED, "KeyboardInterrupt")
        ]

    async def _interrupted(self) -> Bench:
        bench = await self.new_bench()
        bench.handlers.register("interrupted", awaiting(raising(KeyboardInterrupt)))
        await bench.open()
        return bench

    async def test_awaiting_a_child_that_someone_cancelled_fails_the_job__fault_1(self) -> None:
        """A ``CancelledError`` without a cancel fails the job and does not stop the worker."""

        async def parent(ctx: JobContext) -> None:
            child = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(child.cancel)
            await child

        async with self.bench() as bench:
            record = await outcome_of(bench, parent)
            assert (record.status, record.error_type) == (JobStatus.FAILED, "CancelledError")
            assert record.cancel_requested is False

    async def test_a_task_that_is_cancelled_from_outside_is_finished__fault_1(self) -> None:
        """A job whose task is cancelled from outside finishes, and its slot is free."""

        async def stray(ctx: JobContext) -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(60)

        async with self.bench() as bench:
            record = await outcome_of(bench, stray)
            assert record.status is JobStatus.FAILED

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    @pytest.mark.parametrize(
        "error", [TimeoutError, asyncio.TimeoutError], ids=["built-in", "asyncio"]
    )
    async def test_a_handlers_own_timeout_error_is_failed__fault_4(
        self, error: type[Exception], threaded: bool
    ) -> None:
        """Only the job's own time limit gives ``timeout``, on every Python version."""
        async with self.bench() as bench:
            handler = raising(lambda: error("upstream is slow"))
            record = await outcome_of(bench, handler if threaded else awaiting(handler))
            assert (record.status, record.error_type) == (JobStatus.FAILED, "TimeoutError")
            assert record.error == "upstream is slow"

    async def test_a_handlers_own_wait_for_that_expires_is_failed__fault_4(self) -> None:
        """A handler may use time limits of its own."""

        async def impatient(ctx: JobContext) -> None:
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 5)

        async with self.bench() as bench:
            bench.handlers.register("impatient", impatient)
            job_id = await bench.put("impatient", timeout=60)
            await bench.clock.advance(6)
            assert await bench.status(job_id) is JobStatus.FAILED

    async def test_an_error_names_the_leaves_of_a_group__fault_5(self) -> None:
        """The error text of an exception group names the errors in it."""
        inner = BaseExceptionGroup("inner", [KeyError("colour")])
        group = BaseExceptionGroup("errors in a TaskGroup", [ValueError("no disk"), inner])
        async with self.bench() as bench:
            record = await outcome_of(bench, awaiting(raising(lambda: group)))
            assert record.status is JobStatus.FAILED
            assert "no disk" in str(record.error)
            assert "colour" in str(record.error)

    async def test_a_deeply_nested_group_fails_its_job_and_no_more__fault_5(self) -> None:
        """However deeply an exception group is nested, the job fails and its slot is free."""
        group: Exception = ValueError("at the bottom")
        for _ in range(5000):
            group = ExceptionGroup("level", [group])
        async with self.bench() as bench:
            record = await outcome_of(bench, awaiting(raising(lambda: group)))
            assert record.status is JobStatus.FAILED
            assert record.error

    async def test_an_error_is_one_line_of_at_most_1000_characters(self) -> None:
        """However long or broken an error's text is, the record has one short line."""
        async with self.bench() as bench:
            text = "first\nsecond\x1b[31m\r\ud800" + "x" * 5000
            record = await outcome_of(bench, awaiting(raising(lambda: ValueError(text))))
            assert record.error is not None
            assert len(record.error) == 1000
            assert record.error.isprintable()
            assert record.error.startswith("first\\nsecond")

    async def test_an_error_without_text_names_its_type__fault_3(self) -> None:
        """The error text is never empty, and starts with the type's name if there is no message."""
        async with self.bench() as bench:
            bench.handlers.register("bare", awaiting(raising(ValueError)))
            bench.handlers.register("unprintable", awaiting(raising(UnprintableError)))
            assert str((await bench.run("bare")).error).startswith("ValueError")
            assert str((await bench.run("unprintable")).error).startswith("UnprintableError")

    @needs("keeps_any_result")
    async def test_any_object_is_kept_as_a_result__fault_6(self) -> None:
        """Without encoding, the result is the object that the handler returned."""
        async with self.bench() as bench:
            thing = object()
            assert (await bench.finish(await bench.begin(), thing)).result is thing

    async def test_a_result_that_cannot_be_encoded_fails_by_its_type__fault_6(self) -> None:
        """If results are encoded, one that JSON cannot represent fails its job, naming the type."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.ctx.set_progress(0.9)
            record = await bench.finish(call, object())
            if bench.capabilities.keeps_any_result:
                assert (record.status, record.error) == (JobStatus.COMPLETED, None)
            else:
                assert (record.status, record.error_type) == (JobStatus.FAILED, "TypeError")
                assert "object" in str(record.error)
            assert record.progress == 0.9
            assert (await bench.finish(await bench.begin())).status is JobStatus.COMPLETED
