"""Promises about what handlers return: what is kept, awaited or refused."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from stoat_jobs import JobContext, JobStatus

from ._bench import Bench
from ._promises import Promises


def rows() -> Iterator[int]:
    yield 1


async def later_rows() -> AsyncIterator[int]:
    yield 1


USED_UP: dict[str, Callable[[], Any]] = {
    "generator": rows,
    "iterator": lambda: iter([1]),
    "async generator": later_rows,
    "file": lambda: io.StringIO("text"),
    "in a dict": lambda: {"rows": rows(), "count": 1},
    "in a list of lists": lambda: [1, [rows()]],
}
NAMED = {
    "generator": "generator",
    "iterator": "list_iterator",
    "async generator": "async_generator",
    "file": "StringIO",
    "in a dict": "generator",
    "in a list of lists": "generator",
}


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* wrapped by a plain decorator, which hides that it is async."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class ResultPromises(Promises):
    """A result is a value that can be read more than once."""

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    @pytest.mark.parametrize("case", USED_UP)
    async def test_a_result_that_is_used_up_by_its_reader_fails_the_job__fault_61(
        self, case: str, threaded: bool
    ) -> None:
        """A result that is an iterator, a file or another open handle fails its job."""

        async def awaited(ctx: JobContext) -> Any:
            return USED_UP[case]()

        def called(ctx: JobContext) -> Any:
            return USED_UP[case]()

        async with self.bench() as bench:
            bench.handlers.register("it", called if threaded else awaited)
            record = await bench.run("it")
            assert (record.status, record.error_type) == (JobStatus.FAILED, "TypeError")
            assert NAMED[case] in str(record.error)
            assert record.result is None
            assert await bench.queue.get_result(record.job_id) == record

    async def test_partial_work_that_is_used_up_by_its_reader_is_dropped__fault_61(self) -> None:
        """A cancelled job whose handler returns an iterator still ends as ``cancelled``."""
        async with self.bench() as bench:
            call = await bench.begin("work")
            await bench.queue.cancel(call.job_id)
            record = await bench.finish(call, rows())
            assert (record.status, record.result) == (JobStatus.CANCELLED, None)

    async def test_a_coroutine_that_nobody_awaited_is_no_result__fault_61(self) -> None:
        """A job fails if its async handler returns a coroutine that was not awaited."""

        async def forgetful(ctx: JobContext) -> Any:
            return bench.hold(ctx)

        async with self.bench() as bench:
            bench.handlers.register("it", forgetful)
            record = await bench.run("it")
            assert (record.status, record.error_type) == (JobStatus.FAILED, "TypeError")
            assert "coroutine" in str(record.error)
            assert bench.calls == []

    async def test_what_a_thread_hands_back_is_awaited__fault_63(self) -> None:
        """An async function behind a plain decorator runs on the event loop, and completes."""
        async with self.bench() as bench:
            call = await begin_wrapped(bench)
            assert call.thread is threading.current_thread()
            record = await bench.finish(call, 3)
            assert (record.status, record.result) == (JobStatus.COMPLETED, 3)

    async def test_an_error_of_what_a_thread_hands_back_fails_the_job__fault_63(self) -> None:
        """An error of an async function behind a plain decorator is reported like any other."""
        async with self.bench() as bench:
            call = await begin_wrapped(bench)
            call.fail(ValueError("no disk"))
            record = await bench.queue.wait(call.job_id)
            assert (record.status, record.error) == (JobStatus.FAILED, "no disk")

    async def test_cancelling_reaches_what_a_thread_handed_back__fault_63(self) -> None:
        """An async function behind a plain decorator is cancelled at once."""
        async with self.bench() as bench:
            call = await begin_wrapped(bench)
            assert await bench.queue.cancel(call.job_id) is True
            record = await bench.record(call.job_id)
            assert (record.status, call.cancels, call.ended) == (JobStatus.CANCELLED, 1, True)

    async def test_a_deadline_reaches_what_a_thread_handed_back__fault_63(self) -> None:
        """An async function behind a plain decorator is stopped by its time limit."""
        async with self.bench() as bench:
            call = await begin_wrapped(bench, timeout=5)
            await bench.clock.advance(6)
            assert (call.cancels, call.ended) == (1, True)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    async def test_grace_bounds_what_a_thread_handed_back__fault_63(self) -> None:
        """An async function behind a plain decorator that swallows its cancellation is closed."""
        async with self.bench(cancel_grace=2) as bench:
            bench.handlers.register("wrapped", wrapped(bench.deaf))
            call = await bench.begin("wrapped")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(1.9)
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(0.2)
            assert await bench.status(call.job_id) is JobStatus.CANCELLED
            assert call.ended is True
            assert (await bench.queue.stats()).abandoned == 0

    async def test_a_cooperative_one_that_a_thread_handed_back_has_the_flag_first__fault_63(
        self,
    ) -> None:
        """A cooperative async function behind a plain decorator is cancelled after its grace."""
        async with self.bench(cancel_grace=2) as bench:
            call = await begin_wrapped(bench, cooperative=True)
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(1.9)
            assert (call.ctx.cancelled, call.cancels) == (True, 0)
            await bench.clock.advance(0.2)
            assert (call.cancels, call.ended) == (1, True)
            assert await bench.status(call.job_id) is JobStatus.CANCELLED

    async def test_what_is_handed_back_after_a_cancel_is_not_begun__fault_63(self) -> None:
        """If a job is told to stop while its thread runs, the thread's result is not awaited."""

        def slow_to_hand_back(ctx: JobContext) -> Any:
            bench.work(ctx)
            return bench.hold(ctx)

        async with self.bench() as bench:
            bench.handlers.register("it", slow_to_hand_back)
            call = await bench.begin("it")
            assert await bench.queue.cancel(call.job_id) is True
            record = await bench.finish(call)
            assert (record.status, record.result) == (JobStatus.CANCELLED, None)
            assert bench.calls_of(call.job_id) == [call]


async def begin_wrapped(bench: Bench, *, cooperative: bool = False, **options: Any) -> Any:
    """Submit an async handler behind a plain decorator, and return its call."""
    bench.handlers.register("wrapped", wrapped(bench.hold), cooperative=cooperative)
    return await bench.begin("wrapped", **options)
