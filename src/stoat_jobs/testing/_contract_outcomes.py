"""Promises about how a job ends: what its handler returned or raised, and what it was given."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import JobContext, JobResult, JobStatus, current_job_id

from ._bench import Bench
from ._clock import FakeClockLoop, wind_down
from ._promises import Promises, needs

if sys.version_info < (3, 11):  # pytest brings it along
    from exceptiongroup import BaseExceptionGroup

SETTING: contextvars.ContextVar[str] = contextvars.ContextVar("SETTING", default="unset")


class OwnBaseError(BaseException):
    """An error of the handler's own that is no Exception."""


class UnprintableError(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raising(error: Callable[[], BaseException]) -> Callable[[JobContext], Any]:
    """A handler, of the kind that its caller registers, that raises."""

    def handler(ctx: JobContext) -> None:
        raise error()

    return handler


def awaiting(handler: Callable[[JobContext], Any]) -> Callable[[JobContext], Any]:
    """*handler* as an async one."""

    async def run(ctx: JobContext) -> Any:
        return handler(ctx)

    return run


async def outcome_of(bench: Bench, handler: Callable[..., Any], **options: Any) -> JobResult[Any]:
    """The last record of a job with this handler, and proof that the queue goes on."""
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
    """A handler's end decides the outcome, and no end stops a slot or the app."""

    async def test_a_returned_value_completes_the_job(self) -> None:
        """A job whose handler returns is completed, with the value and every field in place."""
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

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    @pytest.mark.parametrize("error", CALAMITIES)
    async def test_whatever_a_handler_raises_fails_the_job_and_the_next_runs__faults_1_2_3(
        self, error: type[BaseException], threaded: bool
    ) -> None:
        """No exception stops a slot or the app: the job fails, named, and the next one runs."""
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
        """A sync handler's KeyboardInterrupt is not the user's Ctrl-C."""
        async with self.bench() as bench:
            record = await outcome_of(bench, raising(KeyboardInterrupt))
            assert (record.status, record.error_type) == (JobStatus.FAILED, "KeyboardInterrupt")

    def test_a_keyboard_interrupt_on_the_loops_thread_settles_the_job_and_propagates__fault_2(
        self,
    ) -> None:
        """A real Ctrl-C stops the app, and leaves no job running."""
        loop = FakeClockLoop()
        bench = loop.run_until_complete(self._interrupted())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(bench.put("interrupted"))
        loop.run_until_complete(loop.settle())
        jobs = loop.run_until_complete(bench.queue.list_jobs())
        loop.run_until_complete(bench.close())
        wind_down(loop)
        assert [(job.status, job.error_type) for job in jobs] == [
            (JobStatus.FAILED, "KeyboardInterrupt")
        ]

    async def _interrupted(self) -> Bench:
        bench = await self.new_bench()
        bench.handlers.register("interrupted", awaiting(raising(KeyboardInterrupt)))
        await bench.open()
        return bench

    async def test_awaiting_a_child_that_someone_cancelled_fails_the_job__fault_1(self) -> None:
        """A CancelledError that nobody asked for is a failure, not an end of the worker."""

        async def parent(ctx: JobContext) -> None:
            child = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(child.cancel)
            await child

        async with self.bench() as bench:
            record = await outcome_of(bench, parent)
            assert (record.status, record.error_type) == (JobStatus.FAILED, "CancelledError")
            assert record.cancel_requested is False

    async def test_a_task_that_is_cancelled_from_outside_is_settled__fault_1(self) -> None:
        """A job whose own task somebody cancels is settled, and its slot is free."""

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
        """Only the queue's deadline gives ``timeout``, on every Python version."""
        async with self.bench() as bench:
            handler = raising(lambda: error("upstream is slow"))
            record = await outcome_of(bench, handler if threaded else awaiting(handler))
            assert (record.status, record.error_type) == (JobStatus.FAILED, "TimeoutError")
            assert record.error == "upstream is slow"

    async def test_a_handlers_own_wait_for_that_expires_is_failed__fault_4(self) -> None:
        """A time limit inside the handler is the handler's business."""

        async def impatient(ctx: JobContext) -> None:
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 5)

        async with self.bench() as bench:
            bench.handlers.register("impatient", impatient)
            job_id = await bench.put("impatient", timeout=60)
            await bench.clock.advance(6)
            assert await bench.status(job_id) is JobStatus.FAILED

    async def test_an_error_names_the_leaves_of_a_group__fault_5(self) -> None:
        """A group of errors is told by what happened, not as "errors in a TaskGroup"."""
        inner = BaseExceptionGroup("inner", [KeyError("colour")])
        group = BaseExceptionGroup("unhandled errors in a TaskGroup", [ValueError("no disk"), inner])
        async with self.bench() as bench:
            record = await outcome_of(bench, awaiting(raising(lambda: group)))
            assert record.status is JobStatus.FAILED
            assert "no disk" in str(record.error)
            assert "colour" in str(record.error)

    async def test_an_error_is_one_line_of_at_most_1000_characters(self) -> None:
        """However long and broken an error's text is, the record holds one short line."""
        async with self.bench() as bench:
            text = "first\nsecond\x1b[31m\r\ud800" + "x" * 5000
            record = await outcome_of(bench, awaiting(raising(lambda: ValueError(text))))
            assert record.error is not None
            assert len(record.error) == 1000
            assert record.error.isprintable()
            assert record.error.startswith("first\\nsecond")

    async def test_an_error_without_text_names_its_type__fault_3(self) -> None:
        """An error is never empty, and starts with the type's name when there is no text."""
        async with self.bench() as bench:
            bench.handlers.register("bare", awaiting(raising(ValueError)))
            bench.handlers.register("unprintable", awaiting(raising(UnprintableError)))
            assert str((await bench.run("bare")).error).startswith("ValueError")
            assert str((await bench.run("unprintable")).error).startswith("UnprintableError")

    @needs("keeps_any_result")
    async def test_any_object_is_kept_as_a_result__fault_6(self) -> None:
        """In one process a result needs no encoding: the very object comes back."""
        async with self.bench() as bench:
            thing = object()
            assert (await bench.finish(await bench.begin(), thing)).result is thing

    async def test_a_result_that_cannot_be_encoded_fails_by_its_type__fault_6(self) -> None:
        """Where results are encoded, one that has no JSON fails its job, naming the type."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.ctx.set_progress(0.9)
            record = await bench.finish(call, object())
            kept = (JobStatus.COMPLETED, None) if self.keeps_any_result else (JobStatus.FAILED, "TypeError")
            assert (record.status, record.error_type) == kept
            assert self.keeps_any_result or "object" in str(record.error)
            assert record.progress == 0.9
            assert (await bench.finish(await bench.begin())).status is JobStatus.COMPLETED

    # What a handler is given.

    async def test_a_context_says_whose_it_is(self) -> None:
        """A handler learns its job's id, type, attempt, metadata and queue."""
        async with self.bench() as bench:
            bench.queue.app = app = object()
            call = await bench.begin(metadata={"a": "b"})
            record = await bench.record(call.job_id)
            assert record.status is JobStatus.RUNNING
            assert (call.ctx.job_id, call.ctx.job_type) == (record.job_id, "hold")
            assert (call.ctx.attempt, dict(call.ctx.metadata)) == (0, {"a": "b"})
            assert call.ctx.queue is bench.queue
            assert call.ctx.app is app
            assert call.ctx.cancelled is False
            call.ctx.raise_if_cancelled()

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_the_running_jobs_id_is_in_a_context_variable(self, threaded: bool) -> None:
        """A handler's own logs can name their job, in threads too; nothing is left outside."""
        def look(ctx: JobContext) -> bool:
            return current_job_id.get() == ctx.job_id

        async with self.bench() as bench:
            record = await outcome_of(bench, look if threaded else awaiting(look))
            assert record.result is True
            assert current_job_id.get() is None

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_context_variables_do_not_leak_from_job_to_job__fault_38(
        self, threaded: bool
    ) -> None:
        """What one handler sets, neither the next one nor the submitter sees."""

        def change(ctx: JobContext) -> str:
            before = SETTING.get()
            SETTING.set("changed by a job")
            return before

        async with self.bench() as bench:
            bench.handlers.register("change", change if threaded else awaiting(change))
            results = [(await bench.run("change")).result for _ in range(2)]
            assert results == ["unset", "unset"]
            assert SETTING.get() == "unset"

    @needs("in_process")
    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_the_submitters_context_variables_are_seen__fault_38(
        self, threaded: bool
    ) -> None:
        """A handler sees the variables of its own submitter, not of whoever came first."""

        def look(ctx: JobContext) -> str:
            return SETTING.get()

        async with self.bench() as bench:
            bench.handlers.register("look", look if threaded else awaiting(look))
            seen = []
            for setting in ("first", "second"):
                token = SETTING.set(setting)
                seen.append((await bench.run("look")).result)
                SETTING.reset(token)
            assert [*seen, (await bench.run("look")).result] == ["first", "second", "unset"]

    # Order and slots.

    async def test_jobs_start_in_the_order_of_their_submission(self) -> None:
        """If one submit returned before another began, its job starts first."""
        async with self.bench() as bench:
            ids = [await bench.put() for _ in range(5)]
            for job_id in ids:
                await bench.finish(await bench.call(job_id))
            assert [call.job_id for call in bench.calls] == ids

    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_at_most_concurrency_jobs_run_at_a_time(self, concurrency: int) -> None:
        """Slots are never overbooked, and a free one is taken at once."""
        async with self.bench(concurrency=concurrency) as bench:
            slots = concurrency if self.concurrent else 1
            ids = [await bench.put() for _ in range(6)]
            for done in range(6):
                await bench.clock.settle()
                stats = await bench.queue.stats()
                assert stats.concurrency == slots
                assert stats.by_status[JobStatus.RUNNING] == min(slots, 6 - done)
                assert stats.slots_in_use == min(slots, 6 - done)
                await bench.finish(await bench.call(ids[done]))

    async def test_every_accepted_job_ends_in_one_terminal_status__fault_17(self) -> None:
        """n jobs accepted, some cancelled at every stage, are n jobs ended."""
        async with self.bench(concurrency=3) as bench:
            ids = [await bench.put() for _ in range(60)]
            for number, job_id in enumerate(ids):
                if number % 3 == 0:
                    await bench.queue.cancel(job_id)
            bench.open_gates()
            records = [await bench.queue.wait(job_id) for job_id in ids]
            ended = [record.status is JobStatus.CANCELLED for record in records]
            assert ended == [number % 3 == 0 for number in range(60)]
            assert all(record.status.is_terminal for record in records)

    async def test_a_blocking_sync_handler_does_not_stop_the_loop__fault_37(self) -> None:
        """While a sync handler blocks, the loop serves others."""
        async with self.bench() as bench:
            call = await bench.begin("work")
            assert await asyncio.wait_for(asyncio.sleep(0, "served"), 1) == "served"
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            assert (await bench.finish(call, 5)).result == 5

    async def test_each_job_has_a_task_of_its_own__fault_14(self) -> None:
        """No task runs two jobs, so a swallowed cancel cannot hurt the next one."""
        async with self.bench() as bench:
            tasks: list[Any] = []

            @bench.handlers.job
            async def note(ctx: JobContext) -> None:
                tasks.append(asyncio.current_task())

            for _ in range(3):
                await bench.run("note")
            assert len({id(task) for task in tasks}) == 3

    async def test_no_task_of_ours_remains_after_a_job__fault_8(self) -> None:
        """When a job has ended, nothing of it is left in the event loop."""
        async with self.bench() as bench:
            await bench.finish(await bench.begin())
            await bench.clock.settle()
            before = asyncio.all_tasks()
            for job_type in ("hold", "work", "deaf"):
                await bench.finish(await bench.begin(job_type))
            await bench.clock.settle()
            assert asyncio.all_tasks() == before
