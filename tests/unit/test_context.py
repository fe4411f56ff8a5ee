"""What a handler is given about the job it runs."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoat_jobs import (
    AsyncioJobQueue,
    FinishedEvent,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobResult,
    JobStatus,
    StartedEvent,
    current_job,
    current_job_id,
)
from stoat_jobs._jobs.context import context_of
from stoat_jobs._run.thread_relay import Relay


class Link:
    """Stands behind a context as a running job does, and notes what is reported."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.cancelled = self.is_finished = False
        self.loop = loop
        self.metadata: dict[str, Any] = {}
        self.reports: list[tuple[float, str | None]] = []

    def report(self, fraction: float, message: str | None) -> None:
        self.reports.append((fraction, message))

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        self.metadata = {**self.metadata, **fields}

    def run_from_thread(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return Relay(cast(Any, self)).run(coro)

    async def wait_cancelled(self) -> None:
        """Nobody waits here."""


def linked(link: Link) -> JobContext:
    """A context as the run of a job makes it."""
    job = SimpleNamespace(job_id="id", job_type="scan")
    return context_of(job, 0, SimpleNamespace(app=None), link)


# On its own.


def test_a_context_alone_serves_a_unit_test() -> None:
    """`JobContext()` needs no queue: nothing is asked of it that it cannot answer."""
    ctx = JobContext()
    ctx.set_progress(0.5, "half")
    ctx.raise_if_cancelled()
    assert ctx.cancelled is False
    assert (ctx.job_id, ctx.job_type, ctx.attempt, dict(ctx.metadata)) == ("", "", 0, {})
    assert (ctx.app, ctx.queue) == (None, None)  # type: ignore[comparison-overlap]


def test_a_unit_test_sees_what_was_reported() -> None:
    """Progress and message are there as the record would have them, and the last ones count."""
    ctx = JobContext(metadata={"user": "ada"})
    assert (ctx.progress, ctx.message) == (None, None)
    ctx.set_progress(0.25, "one\nof four")
    assert (ctx.progress, ctx.message) == (0.25, "one\\nof four")
    ctx.set_progress(1)
    assert (ctx.progress, ctx.message) == (1.0, None)
    with pytest.raises(ValueError, match="from 0 to 1"):
        ctx.set_progress(2)
    assert (ctx.progress, dict(ctx.metadata)) == (1.0, {"user": "ada"})


def test_a_unit_test_can_tell_the_handler_to_stop() -> None:
    """The flag is set, and only this context's."""
    ctx, other = JobContext(), JobContext()

    def handler(ctx: JobContext) -> int:
        for n in range(10):
            if ctx.cancelled:
                return n
            if n == 3:
                ctx.cancel()
        return 10

    assert handler(ctx) == 4
    with pytest.raises(asyncio.CancelledError, match="told to stop"):
        ctx.raise_if_cancelled()
    assert other.cancelled is False


def test_a_unit_test_sees_the_metadata_that_a_handler_adds() -> None:
    """It is merged, copied and refused as in a queue; another context is not touched."""
    ctx, other = JobContext(metadata={"user": "ada"}), JobContext()
    pages = [1, 2]
    ctx.update_metadata(pages=pages, self="a field like any other")
    pages.append(3)
    ctx.metadata["pages"].append(4)
    expected = {"user": "ada", "pages": [1, 2], "self": "a field like any other"}
    assert dict(ctx.metadata) == expected
    with pytest.raises(TypeError, match=r"metadata\['wrong'\] is of type bytes"):
        ctx.update_metadata(wrong=b"")
    with pytest.raises(ValueError, match=r"max_metadata_bytes \(65536\)"):
        ctx.update_metadata(text="x" * 65_536)
    assert (dict(ctx.metadata), dict(other.metadata)) == (expected, {})


async def test_a_unit_test_wakes_what_waits_for_the_stop() -> None:
    """`cancel()` ends `wait_cancelled()`, from a thread too, and it then returns at once."""
    ctx = JobContext()
    waiting = asyncio.ensure_future(ctx.wait_cancelled())
    await asyncio.sleep(0)
    assert not waiting.done()
    thread = threading.Thread(target=ctx.cancel)
    thread.start()
    await waiting
    thread.join()
    ctx.cancel()
    await ctx.wait_cancelled()
    assert ctx.cancelled is True


async def test_who_walked_away_waits_no_more() -> None:
    """A wait that was cancelled leaves nothing behind, on no loop."""
    ctx = JobContext()
    waiting = asyncio.ensure_future(ctx.wait_cancelled())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert cast(Any, ctx)._link.signal._waiters == {}
    ctx.cancel()


def test_a_loop_that_was_closed_is_no_trouble_to_a_cancel() -> None:
    """What waited on it is gone; the others are woken."""
    ctx = JobContext()
    loop = asyncio.new_event_loop()
    waiter = loop.create_future()
    loop.close()
    cast(Any, ctx)._link.signal._waiters[waiter] = None
    ctx.cancel()
    assert ctx.cancelled is True


async def test_a_running_job_shows_what_it_reported_and_is_cancelled_by_its_queue() -> None:
    """The same code reads its own progress in a queue; stopping it is the queue's."""
    handlers = JobHandlers()

    @handlers.job(retries=1)
    async def work(ctx: JobContext) -> list[Any]:
        before = ctx.progress
        ctx.set_progress(0.5, "half")
        if not ctx.attempt:
            raise ValueError
        with pytest.raises(RuntimeError, match=r"await ctx\.queue\.cancel\(ctx\.job_id\)"):
            ctx.cancel()
        return [before, ctx.progress, ctx.message, ctx.cancelled]

    assert (await run(handlers)).result == [None, 0.5, "half", False]


def test_a_context_is_what_a_test_makes_it() -> None:
    """A unit test may say which job it is."""
    queue = InMemoryJobQueue()
    ctx = JobContext(
        job_id="id", job_type="scan", attempt=2, metadata={"a": "b"}, app=1, queue=queue
    )
    assert repr(ctx) == "JobContext('id', 'scan', attempt=2)"
    assert (ctx.metadata, ctx.app, ctx.queue) == ({"a": "b"}, 1, queue)


def test_an_unknown_attribute_is_a_mistake() -> None:
    """A context takes no attributes of the handler's own, so a slip is seen at once."""
    with pytest.raises(AttributeError):
        JobContext().progress = 0.5  # type: ignore[misc]


def test_metadata_cannot_be_changed_through_a_context() -> None:
    """The metadata of a bare context is shared by all, so it is read-only."""
    with pytest.raises(TypeError):
        JobContext().metadata["a"] = "b"  # type: ignore[index]


# Progress.


@settings(deadline=None)
@given(st.floats(0, 1), st.none() | st.text())
def test_progress_within_bounds_is_reported(fraction: float, message: str | None) -> None:
    """Any fraction from 0 to 1 is reported as it is, with a message or without."""
    link = Link()
    linked(link).set_progress(fraction, message)
    [(reported, text)] = link.reports
    assert reported == fraction
    assert (text is None) == (message is None)


@settings(deadline=None)
@given(st.floats().filter(lambda number: not 0 <= number <= 1))
def test_progress_outside_is_refused(fraction: float) -> None:
    """NaN and what is less than 0 or more than 1 are refused by value; nothing is reported."""
    link = Link()
    with pytest.raises(ValueError, match="progress must be a fraction from 0 to 1, not "):
        linked(link).set_progress(fraction)
    assert link.reports == []


@pytest.mark.parametrize("fraction", [-3, 7, math.nan, math.inf, -1e-9, 1.0000001])
def test_progress_outside_is_refused_in_a_unit_test_too(fraction: float) -> None:
    """A bare context refuses what a queue's would refuse, or the unit test would prove nothing."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        JobContext().set_progress(fraction)


@pytest.mark.parametrize("fraction", [None, "0.5", [], object()], ids=lambda v: type(v).__name__)
def test_progress_that_is_no_number_is_refused(fraction: Any) -> None:
    """What is no number is a TypeError."""
    with pytest.raises(TypeError):
        JobContext().set_progress(fraction)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("1200 of 3000 files", "1200 of 3000 files"),
        ("", ""),
        ("two\nlines\r\x1b[31m", "two\\nlines\\r\\x1b[31m"),
        ("bad name \udcff", "bad name \\udcff"),
        ("日本語\u3000語\u00a0é", "日本語\u3000語\u00a0é"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 499 + "…"),
        ("\n" * 400, "\\n" * 249 + "\\…"),
        (5, "5"),
    ],
    ids=map(str, range(9)),
)
def test_messages_are_one_safe_line(message: Any, kept: str) -> None:
    """A message is one line of at most 500 characters that a log and JSON can hold."""
    link = Link()
    linked(link).set_progress(0, message)
    assert link.reports == [(0.0, kept)]
    assert len(kept) <= 500


# Being told to stop.


def test_cancelled_is_live() -> None:
    """The flag is asked of the running job each time."""
    link = Link()
    ctx = linked(link)
    assert ctx.cancelled is False
    link.cancelled = True
    assert ctx.cancelled is True


def test_raise_if_cancelled_raises_what_asyncio_raises() -> None:
    """A handler that looks leaves by CancelledError, in a thread too."""
    link = Link()
    ctx = linked(link)
    ctx.raise_if_cancelled()
    link.cancelled = True
    with pytest.raises(asyncio.CancelledError, match="told to stop"):
        ctx.raise_if_cancelled()


# From a thread.


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail(text: str) -> None:
    raise LookupError(text)


async def where(note: Callable[[Any], None]) -> str | None:
    note((asyncio.get_running_loop(), threading.current_thread()))
    return current_job_id.get()


def test_from_thread_without_a_queue_runs_at_once() -> None:
    """In a sync unit test the coroutine runs in a loop of its own, and raises what it raises."""
    ctx = JobContext()
    assert ctx.from_thread(double, 21) == 42
    with pytest.raises(LookupError, match="gone"):
        ctx.from_thread(fail, "gone")


async def test_from_thread_in_an_async_unit_test_is_refused() -> None:
    """On a running loop it would block, so it says `await` and begins no coroutine."""
    with pytest.raises(RuntimeError, match="await"):
        JobContext().from_thread(double, 21)


async def test_from_thread_on_the_loops_own_thread_is_refused() -> None:
    """An async handler would wait for itself for ever, so it is told to `await`."""
    ctx = linked(Link(asyncio.get_running_loop()))
    with pytest.raises(RuntimeError, match="would block the event loop: use `await`"):
        ctx.from_thread(double, 21)


async def test_from_thread_runs_on_the_queues_loop() -> None:
    """A sync handler's coroutine runs on the loop's thread, in the job's own context."""
    handlers = JobHandlers()
    noted: list[Any] = []

    @handlers.job
    def ask(ctx: JobContext) -> list[Any]:
        return [ctx.from_thread(double, 21), ctx.from_thread(where, noted.append) == ctx.job_id]

    record = await run(handlers)
    assert record.result == [42, True]
    assert noted == [(asyncio.get_running_loop(), threading.current_thread())]


async def test_from_thread_raises_what_the_coroutine_raises() -> None:
    """An error on the loop comes back to the handler as it is."""
    handlers = JobHandlers()

    @handlers.job
    def ask(ctx: JobContext) -> str:
        try:
            ctx.from_thread(fail, "gone")
        except LookupError as error:
            return f"caught {error}"
        return "nothing"

    assert (await run(handlers)).result == "caught gone"


async def test_a_system_exit_in_from_thread_is_raised_in_the_thread__fault_2() -> None:
    """It fails the job, or is the handler's to catch; the event loop goes on."""
    handlers = JobHandlers()

    async def leave() -> None:
        raise SystemExit(3)

    @handlers.job
    def asking(ctx: JobContext, caught: bool) -> str:
        try:
            ctx.from_thread(leave)
        except SystemExit:
            if not caught:
                raise
        return "caught"

    async with AsyncioJobQueue(handlers) as queue:
        records = [await (await asking.submit(queue, caught=each)).wait() for each in (False, True)]
    assert [(record.status, record.result) for record in records] == [
        (JobStatus.FAILED, None),
        (JobStatus.COMPLETED, "caught"),
    ]
    assert (records[0].error, records[0].error_type) == ("3", "SystemExit")


def test_from_thread_after_the_loop_is_closed() -> None:
    """A thread that outlives the loop gets a RuntimeError, and leaves no coroutine behind."""
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        linked(Link(loop)).from_thread(double, 1)


async def test_a_handler_sees_who_it_is() -> None:
    """A running handler's context names its job, its app and its queue."""
    handlers = JobHandlers()

    @handlers.job
    async def look(ctx: JobContext) -> list[Any]:
        same_queue = ctx.queue is queue
        return [ctx.job_id, ctx.job_type, ctx.attempt, dict(ctx.metadata), ctx.app, same_queue]

    queue = InMemoryJobQueue(handlers)
    queue.app = "the app"
    job_id = await queue.submit("look", {}, metadata={"user": "me"})
    result = (await queue.get_result(job_id)).result
    assert result == [job_id, "look", 0, {"user": "me"}, "the app", True]


async def test_current_job_id_is_set_in_the_handler_alone() -> None:
    """The id is there for the handler's own logs, and gone outside."""
    handlers = JobHandlers()

    @handlers.job
    async def look(ctx: JobContext) -> bool:
        return current_job_id.get() == ctx.job_id

    assert current_job_id.get() is None
    assert (await run(handlers)).result is True
    assert current_job_id.get() is None


async def test_hooks_see_the_job_that_they_are_told_of() -> None:
    """``current_job()`` in a hook is the context of that job, or None if it has none."""
    handlers = JobHandlers()
    seen: list[tuple[str, str, str | None]] = []

    def note(hook: str, event: Any) -> None:
        job = current_job()
        seen.append((hook, event.job_id, job.job_id if job else None))

    class Watcher(JobObserver):
        def started(self, event: StartedEvent) -> None:
            note("started", event)

        def finished(self, event: FinishedEvent) -> None:
            note("finished", event)

    @handlers.job
    async def outer(ctx: JobContext) -> str:
        job_id = await ctx.queue.submit("never")
        await ctx.queue.cancel(job_id)
        return job_id

    @handlers.job
    async def never(ctx: JobContext) -> None: ...

    async with AsyncioJobQueue(handlers, JobQueueSettings(concurrency=1), [Watcher()]) as queue:
        record = await (await outer.submit(queue)).wait()
    assert seen == [
        ("started", record.job_id, record.job_id),
        ("finished", record.result, None),
        ("finished", record.job_id, record.job_id),
    ]


async def test_a_finished_job_is_not_kept_by_the_one_that_it_submitted() -> None:
    """A chain of jobs that submit each other keeps no more than the last context."""
    handlers = JobHandlers()
    contexts: list[weakref.ref[Any]] = []

    class Payload:
        """Only a weak reference is kept of it."""

    @handlers.job
    async def chain(ctx: JobContext, n: int) -> None:
        ctx.queue.app, mark = None, Payload()
        contexts.append(weakref.ref(mark))
        variable.set(mark)
        if n:
            await ctx.queue.submit("chain", {"n": n - 1})

    variable: ContextVar[Any] = ContextVar("variable")
    async with AsyncioJobQueue(handlers) as queue:
        await queue.submit("chain", {"n": 5})
        while (await queue.stats()).by_status[JobStatus.COMPLETED] < 6:
            await asyncio.sleep(0)
        gc.collect()
        assert [context() for context in contexts] == [None] * 6


async def run(handlers: JobHandlers) -> JobResult[Any]:
    """The record of a job of the only job type."""
    queue = InMemoryJobQueue(handlers)
    [job_type] = handlers
    return await queue.get_result(await queue.submit(job_type.name))
