"""What handlers, observers and callers do at the edges, on the shipped queues."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    BackendError,
    BackendStartError,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    SubmittedEvent,
    SubmittingEvent,
    UnknownJobTypeError,
    create_queue,
    current_job_id,
)
from stoat_jobs._backends.loop_watchdog import Watchdog
from stoat_jobs.backends import Deadlines
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

UNWATCHED: dict[str, Any] = {"loop_block_limit": 0}


async def wait_in_time() -> None:
    """A wait with a time limit, as a poller makes it."""
    async with asyncio.timeout(1):
        await asyncio.sleep(10)


def test_a_poller_that_swallows_everything_is_left_behind_and_the_loop_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Closing a coroutine that resists must not make it spin: it is named, and the app goes on."""
    handlers = JobHandlers()
    over = False

    @handlers.job
    async def poller(ctx: JobContext) -> None:
        while not over:
            try:
                await wait_in_time()
            except BaseException:
                pass

    async def main() -> None:
        nonlocal over
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        async with AsyncioJobQueue(handlers, JobQueueSettings(**UNWATCHED)) as queue:
            job_id = await queue.submit("poller")
            await loop.settle()
            await queue.cancel(job_id)
            await loop.advance(1.0)
            assert await queue.get_status(job_id) is JobStatus.CANCELLED
            assert (await queue.stats()).abandoned == 1
            over = True
            await loop.advance(20.0)
            assert (await queue.stats()).abandoned == 0
            lines.extend(each for each in caplog.records if "unstoppable" in each.getMessage())
            assert lines[0].job_id == job_id

    lines: list[Any] = []
    run_with_fake_clock(main())
    (line,) = lines
    assert (line.levelname, line.getMessage()) == ("ERROR", "handler_unstoppable")
    assert line.job_type == "poller"
    assert line.error == "it swallows GeneratorExit too, and can hold up the exit of the process"


def test_a_stop_does_not_wait_for_what_swallows_everything() -> None:
    """Whatever a coroutine resists, leaving the queue takes no longer than it may."""
    handlers = JobHandlers()
    over = False

    @handlers.job
    async def poller(ctx: JobContext) -> None:
        while not over:
            with contextlib.suppress(BaseException):
                await wait_in_time()

    async def main() -> None:
        nonlocal over
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        settings = JobQueueSettings(drain_timeout=2, cancel_grace=1, **UNWATCHED)
        queue = await AsyncioJobQueue(handlers, settings).__aenter__()
        job_id = await queue.submit("poller")
        leaving = asyncio.ensure_future(queue.__aexit__(None, None, None))
        await loop.advance(2 + 2 * 1 + 1.1)
        left, over = leaving.done(), True
        await loop.advance(20.0)
        await leaving
        assert left
        assert (await queue.get_result(job_id)).error_type == "Shutdown"

    run_with_fake_clock(main())


async def test_a_handler_that_can_be_closed_is_not_called_unstoppable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A coroutine that swallows cancels, but not its closing, was stopped after all."""
    handlers = JobHandlers()

    @handlers.job
    async def deaf(ctx: JobContext) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    settings = JobQueueSettings(drain_timeout=0, cancel_grace=0, **UNWATCHED)
    async with AsyncioJobQueue(handlers, settings) as queue:
        await queue.submit("deaf")
        await asyncio.sleep(0)
    assert "job_abandoned" in caplog.messages
    assert "handler_unstoppable" not in caplog.messages


async def test_a_handler_that_leaves_its_own_queue_is_finished_by_it() -> None:
    """A queue that is stopped from inside a job does not wait for that job for ever."""
    handlers = JobHandlers()
    seen: list[Any] = []

    @handlers.job
    async def suicidal(ctx: JobContext) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await ctx.queue.__aexit__(None, None, None)
        record = await ctx.queue.get_result(ctx.job_id)
        seen.append((record.status, record.error_type, (await ctx.queue.stats()).abandoned))

    settings = JobQueueSettings(drain_timeout=0, cancel_grace=0, **UNWATCHED)
    queue = AsyncioJobQueue(handlers, settings)
    await queue.__aenter__()
    job_id = await queue.submit("suicidal")
    await queue.wait(job_id)
    while not seen:
        await asyncio.sleep(0)
    assert seen == [(JobStatus.CANCELLED, "Shutdown", 1)]
    await asyncio.sleep(0)
    assert (await queue.stats()).abandoned == 0


async def test_each_attempt_gets_the_payload_as_it_was_submitted() -> None:
    """What an attempt makes of its arguments is not seen by the next one."""
    handlers = JobHandlers()
    seen: list[list[int]] = []

    @handlers.job(retries=2)
    async def flaky(ctx: JobContext, items: list[int]) -> None:
        seen.append(list(items))
        items.pop()
        raise ValueError

    await InMemoryJobQueue(handlers).submit("flaky", {"items": [1, 2, 3]})
    assert seen == [[1, 2, 3]] * 3


async def test_an_observer_cannot_change_the_payload() -> None:
    """What `submitting` does to the payload it is shown stays there."""
    handlers = JobHandlers()

    @handlers.job
    async def echo(ctx: JobContext, items: list[int]) -> list[int]:
        return items

    class Meddling(JobObserver):
        def submitting(self, event: SubmittingEvent) -> None:
            event.payload["items"].append(99)

    queue = InMemoryJobQueue(handlers, observers=[Meddling()])
    record = await queue.get_result(await queue.submit("echo", {"items": [1]}))
    assert record.result == [1]


def noop_queue(**options: Any) -> InMemoryJobQueue:
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> None: ...

    return InMemoryJobQueue(handlers, **options)


async def test_metadata_without_room_for_an_observers_leaves_the_observer_in_place() -> None:
    """A submitter with much metadata switches no tracing off, neither for itself nor for others."""

    class Tracing(JobObserver):
        def submitting(self, event: SubmittingEvent) -> Mapping[str, str]:
            return {"traceparent": "x" * 55}

    queue = noop_queue(observers=[Tracing()])
    large = await queue.submit("noop", metadata={"a": "x" * 65_500})
    small = await queue.submit("noop")
    assert (await queue.get_result(large)).metadata == {"a": "x" * 65_500}
    assert (await queue.get_result(small)).metadata == {"traceparent": "x" * 55}


async def test_an_apps_own_job_id_on_its_log_records_costs_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An app may put `current_job_id` on all its records; the queue's log goes on."""
    plain = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = plain(*args, **kwargs)
        record.job_id = current_job_id.get()
        return record

    logging.setLogRecordFactory(factory)
    try:
        with caplog.at_level(logging.INFO, "stoat_jobs"):
            job_id = await noop_queue().submit("noop")
    finally:
        logging.setLogRecordFactory(plain)
    assert [record.getMessage() for record in caplog.records] == [
        "job_submitted",
        "job_started",
        "job_completed",
    ]
    assert {vars(record)["job_id"] for record in caplog.records} == {job_id}


def test_giving_up_one_submit_leaves_the_others_deadline_in_force() -> None:
    """On `memory`, a submit cancelled twice takes nothing from the job that comes next."""
    handlers = JobHandlers()

    @handlers.job
    async def deaf(ctx: JobContext) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    @handlers.job(timeout=10)
    async def limited(ctx: JobContext) -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        queue = InMemoryJobQueue(handlers)
        given_up = asyncio.ensure_future(queue.submit("deaf"))
        await loop.settle()
        kept = asyncio.ensure_future(queue.submit("limited"))
        for _ in range(2):
            given_up.cancel()
            await loop.settle()
        await loop.advance(12)
        assert await queue.get_status(await kept) is JobStatus.TIMEOUT

    run_with_fake_clock(main())


async def test_a_ctrl_c_in_an_observer_leaves_no_job_that_nobody_runs() -> None:
    """A job that was accepted when the interrupt came ends like any other."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> None: ...

    class Interrupted(JobObserver):
        def submitted(self, event: SubmittedEvent) -> None:
            raise KeyboardInterrupt

    async with AsyncioJobQueue(handlers, observers=[Interrupted()]) as queue:
        with pytest.raises(KeyboardInterrupt):
            await queue.submit("noop", key="one")
        (record,) = await queue.list_jobs()
        assert (await queue.wait(record.job_id)).status is JobStatus.COMPLETED


async def test_a_cancel_inside_from_thread_is_no_failure_to_retry() -> None:
    """A sync handler whose awaited work is cancelled sees the same error as an async one."""
    handlers = JobHandlers()
    attempts: list[int] = []

    async def cancelled() -> None:
        raise asyncio.CancelledError

    @handlers.job(retries=3)
    def asking(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        ctx.from_thread(cancelled)

    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("asking"))
    assert (record.status, record.error_type) == (JobStatus.FAILED, "CancelledError")
    assert attempts == [0]


async def test_a_thread_left_behind_by_a_stray_cancel_is_told() -> None:
    """Whoever cancels the job's task, the thread that runs on can see that its job is over."""
    handlers = JobHandlers()
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[None] = loop.create_future()
    told: asyncio.Future[bool] = loop.create_future()
    look = threading.Event()

    @handlers.job
    def polling(ctx: JobContext) -> None:
        loop.call_soon_threadsafe(begun.set_result, None)
        look.wait()
        loop.call_soon_threadsafe(told.set_result, ctx.cancelled)

    async with AsyncioJobQueue(handlers) as queue:
        job_id = await queue.submit("polling")
        await begun
        (task,) = (task for task in asyncio.all_tasks() if task.get_name().endswith(job_id))
        task.cancel()
        assert (await queue.wait(job_id)).status is JobStatus.FAILED
        look.set()
        assert await told


async def test_a_start_that_fails_says_why_and_leaves_nothing_half_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A queue that could not start is as it was, and may be started when the cause is gone."""
    handlers = JobHandlers()
    queue = AsyncioJobQueue(handlers)

    def refuse(self: Watchdog) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Watchdog, "start", refuse)
        with pytest.raises(BackendStartError, match="cannot start: can't start new thread"):
            await queue.__aenter__()
    assert not queue.started
    async with queue:
        assert queue.started


@pytest.mark.parametrize("kind", [AsyncioJobQueue, InMemoryJobQueue])
def test_a_start_outside_an_event_loop_says_what_it_needs(kind: Any) -> None:
    """Under trio, say: the error names the backend, asyncio, and what helps in a test."""
    entered = kind().__aenter__()
    with pytest.raises(BackendError) as caught:
        entered.send(None)
    assert str(caught.value) == (
        f"backend '{kind.name}' needs an asyncio event loop, and none is running here (trio? with"
        " anyio's pytest plugin let the fixture anyio_backend return 'asyncio')"
    )
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_none_is_checked_against_the_declared_result() -> None:
    """On a queue that encodes, None is no int either."""
    handlers = JobHandlers()

    @handlers.job
    async def forgetful(ctx: JobContext) -> int:
        return None  # type: ignore[return-value]

    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("forgetful"))
    assert (record.status, record.error_type) == (JobStatus.FAILED, "TypeError")


async def test_a_failed_encoding_does_not_look_done__fault_6() -> None:
    """A job that reported 1.0 and then failed to deliver does not stand at 1.0."""
    handlers = JobHandlers()

    @handlers.job
    async def boastful(ctx: JobContext) -> object:
        ctx.set_progress(1.0)
        return object()

    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("boastful"))
    assert (record.status, record.progress) == (JobStatus.FAILED, None)


async def test_a_refused_script_leaves_nothing() -> None:
    """`set_outcome` with a result that has no JSON does not make the type known."""
    queue = InMemoryJobQueue()
    with pytest.raises(TypeError, match="object"):
        queue.set_outcome("scan", result=object())
    with pytest.raises(UnknownJobTypeError):
        await queue.submit("scan")


async def test_a_scripted_error_is_text_or_an_exception() -> None:
    """A class in the place of an exception is a slip, and said to be one."""
    queue = InMemoryJobQueue()
    with pytest.raises(TypeError, match="text or an exception"):
        queue.set_outcome("x", status=JobStatus.FAILED, error=ValueError)  # type: ignore[arg-type]
    queue.set_outcome("x", status=JobStatus.TIMEOUT, error=ValueError("too slow"))
    record = await queue.get_result(await queue.submit("x"))
    assert (record.error, record.error_type) == ("too slow", "Timeout")


@pytest.mark.parametrize("kind", [AsyncioJobQueue, InMemoryJobQueue, create_queue])
def test_settings_of_another_type_are_refused_by_name(kind: Callable[..., Any]) -> None:
    """A dict in the place of settings is told what is wanted."""
    with pytest.raises(TypeError, match="settings must be a JobQueueSettings, not dict"):
        kind(None, {"concurrency": 2})


def test_handlers_of_another_type_are_refused_by_name() -> None:
    """A list of functions is no registry."""
    with pytest.raises(TypeError, match="handlers must be a JobHandlers, not list"):
        AsyncioJobQueue([print])  # type: ignore[arg-type]


class Large:
    """A result whose end can be seen."""


@pytest.mark.parametrize("ttl", [60, 0.6])
def test_finished_records_go_without_being_asked_for(ttl: float) -> None:
    """What is too old frees its memory on time, though nobody looks at the queue any more."""
    handlers = JobHandlers()
    made: list[weakref.ref[Large]] = []

    @handlers.job
    async def large(ctx: JobContext) -> Large:
        result = Large()
        made.append(weakref.ref(result))
        return result

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        settings = JobQueueSettings(result_ttl=ttl, **UNWATCHED)
        async with AsyncioJobQueue(handlers, settings) as queue:
            for _ in range(2):
                await queue.submit("large")
                await loop.advance(ttl * 2 / 3)
            assert [ref() is None for ref in made] == [True, False]
            await loop.advance(ttl * 2 / 3)
            assert [ref() is None for ref in made] == [True, True]

    run_with_fake_clock(main())


async def test_a_negative_limit_is_refused() -> None:
    """`list_jobs` names the argument that makes no sense."""
    with pytest.raises(ValueError, match="limit must not be negative: -1"):
        await InMemoryJobQueue().list_jobs(limit=-1)


async def test_a_limit_that_is_no_number_is_refused() -> None:
    """`list_jobs` says what it was given, as from a query that nobody has parsed."""
    with pytest.raises(TypeError, match="limit must be an int, not str"):
        await InMemoryJobQueue().list_jobs(limit="5")  # type: ignore[arg-type]


@pytest.mark.parametrize("job_type", [print, 7, [7]])
async def test_a_job_type_that_is_no_name_is_refused(job_type: Any) -> None:
    """`list_jobs` refuses the function itself, for which it would find nothing."""
    with pytest.raises(TypeError, match="job_type must be (a name|text) or several"):
        await InMemoryJobQueue().list_jobs(job_type=job_type)


async def test_a_limit_of_thousands_of_digits_is_shown_short() -> None:
    """A list has at most 1,000 records, and an absurd limit does not fill the error."""
    with pytest.raises(ValueError, match="limit must not exceed 1000, not <int>: read by pages"):
        await InMemoryJobQueue().list_jobs(limit=10**5000)
    with pytest.raises(ValueError, match="limit must not be negative: <int>"):
        await InMemoryJobQueue().list_jobs(limit=-(10**5000))


class Timed:
    """Something with a deadline."""

    deadline = 0.0
    passed = False

    def deadline_passed(self) -> None:
        self.passed = True


def test_timers_of_timeouts_that_came_once_do_not_pile_up() -> None:
    """Ten thousand jobs with a time limit each of its own leave a bounded number of timers."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop, loop.time)
        for seconds in range(1, 10_001):
            run = Timed()
            del deadlines.add(run, float(seconds))[run]
        assert len(deadlines._timers) <= 65
        deadlines.close()

    run_with_fake_clock(main())
