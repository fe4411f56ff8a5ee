"""What a run does where handlers, threads and timers meet in unusual ways."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import weakref
from contextvars import ContextVar
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    FinishedEvent,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    ProgressEvent,
)
from stoat_jobs.backends import StopReason

UNWATCHED: dict[str, Any] = {"loop_block_limit": 0}


class Heard(JobObserver):
    """Notes what progress is told, and in which thread."""

    def __init__(self) -> None:
        self.progresses: list[tuple[float, threading.Thread]] = []

    def progress(self, event: ProgressEvent) -> None:
        self.progresses.append((event.progress, threading.current_thread()))


async def test_progress_from_a_loop_of_the_handlers_own_is_told_on_the_queues__fault_40() -> None:
    """A sync handler may run a loop in its thread; observers are called on the app's all the same."""
    handlers = JobHandlers()
    heard = Heard()

    async def inside(ctx: JobContext) -> None:
        ctx.set_progress(0.5)

    @handlers.job
    def running_a_loop(ctx: JobContext) -> None:
        asyncio.run(inside(ctx))

    async with AsyncioJobQueue(handlers, observers=[heard]) as queue:
        record = await queue.wait(await queue.submit("running_a_loop"))
    assert (record.status, record.progress) == (JobStatus.COMPLETED, 0.5)
    assert heard.progresses == [(0.5, threading.current_thread())]


async def test_much_progress_from_a_thread_wakes_the_loop_once() -> None:
    """A thread that reports at every byte cannot flood the loop: it hears the latest."""
    handlers = JobHandlers()
    heard = Heard()
    reported, go_on = threading.Event(), threading.Event()

    @handlers.job
    def reporting(ctx: JobContext) -> None:
        for number in range(1000):
            ctx.set_progress(number / 1000)
        reported.set()
        go_on.wait()

    settings = JobQueueSettings(**UNWATCHED)
    async with AsyncioJobQueue(handlers, settings, [heard]) as queue:
        job_id = await queue.submit("reporting")
        await asyncio.sleep(0)
        reported.wait()  # the loop is held, so that it cannot look in between
        go_on.set()
        record = await queue.wait(job_id)
    assert record.progress == 0.999
    assert [fraction for fraction, _ in heard.progresses] == [0.999]


async def test_a_run_that_has_ended_cannot_be_stopped() -> None:
    """Whoever holds a run and stops it late is told that this changes nothing."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> int:
        return 1

    async with AsyncioJobQueue(handlers) as queue:
        job_id = await queue.submit("noop")
        run = queue._scheduler.running[job_id]
        await queue.wait(job_id)
        assert run.stop(StopReason.CANCEL) is False
        record = await queue.get_result(job_id)
    assert (record.result, record.cancel_requested) == (1, False)


async def test_a_job_cancelled_before_its_first_step_has_no_error_to_log() -> None:
    """It did as it was told: the log has one line for it, without a traceback."""
    handlers = JobHandlers()
    ends: list[FinishedEvent] = []
    calls: list[JobContext] = []

    @handlers.job
    async def noop(ctx: JobContext) -> None:
        calls.append(ctx)

    class Ends(JobObserver):
        def finished(self, event: FinishedEvent) -> None:
            ends.append(event)

    async with AsyncioJobQueue(handlers, observers=[Ends()]) as queue:
        job_id = await queue.submit("noop")
        assert await queue.cancel(job_id) is True
        await queue.wait(job_id)
    assert [(event.record.status, event.exception) for event in ends] == [
        (JobStatus.CANCELLED, None)
    ]
    assert calls == []


async def test_a_grace_period_keeps_nothing_of_whoever_began_it() -> None:
    """The timer of a cancelled job holds no context of the request that cancelled it."""
    handlers = JobHandlers()
    gate = asyncio.get_running_loop().create_future()
    request: ContextVar[Any] = ContextVar("request")

    @handlers.job(cooperative=True)
    async def polite(ctx: JobContext) -> None:
        await gate

    class Request:
        """Something large."""

    async def cancel(job_id: str) -> weakref.ref[Request]:
        request.set(Request())
        assert await queue.cancel(job_id) is True
        return weakref.ref(request.get())

    async with AsyncioJobQueue(handlers, JobQueueSettings(cancel_grace=1000)) as queue:
        job_id = await queue.submit("polite")
        await asyncio.sleep(0)
        kept = await asyncio.ensure_future(cancel(job_id))
        gc.collect()
        status, gone = await queue.get_status(job_id), kept() is None
        gate.set_result(None)
    assert (status, gone) == (JobStatus.RUNNING, True)


async def test_a_retry_is_logged_where_a_start_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """Who logs warnings alone still reads of an attempt that failed, and why."""
    caplog.set_level(logging.WARNING, "stoat_jobs")
    handlers = JobHandlers()

    @handlers.job(retries=1)
    async def flaky(ctx: JobContext) -> int:
        if not ctx.attempt:
            raise LookupError("not yet")
        return 1

    queue = InMemoryJobQueue(handlers)
    assert (await queue.get_result(await queue.submit("flaky"))).result == 1
    (line,) = (each for each in caplog.records if each.getMessage() == "job_started")
    assert line.exc_info is not None
    assert isinstance(line.exc_info[1], LookupError)


def test_a_ctrl_c_leaves_no_error_to_the_loop() -> None:
    """It is told to the user once, by being raised, and not again when the task is collected."""
    handlers = JobHandlers()
    told: list[dict[str, Any]] = []

    @handlers.job
    async def interrupted(ctx: JobContext) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, what: told.append(what))
        async with AsyncioJobQueue(handlers, JobQueueSettings(**UNWATCHED)) as queue:
            await queue.wait(await queue.submit("interrupted"))

    loop = asyncio.new_event_loop()
    main_task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main_task)
    loop.run_until_complete(main_task)
    loop.close()
    gc.collect()
    assert told == []


async def test_a_thread_left_behind_in_its_grace_is_counted__fault_15() -> None:
    """A cancelled job whose task others cancel too ends at once; its thread counts until it ends."""
    handlers = JobHandlers()
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @handlers.job
    def working(ctx: JobContext) -> None:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait()

    async with AsyncioJobQueue(handlers, JobQueueSettings(cancel_grace=1000)) as queue:
        job_id = await queue.submit("working")
        await begun.wait()
        await queue.cancel(job_id)
        (task,) = (task for task in asyncio.all_tasks() if task.get_name().endswith(job_id))
        task.cancel()
        record, left_behind = await queue.wait(job_id), (await queue.stats()).abandoned
        go_on.set()
    assert (record.status, left_behind) == (JobStatus.CANCELLED, 1)


async def test_a_thread_has_the_name_of_its_job_type() -> None:
    """A list of threads says what each of them works at."""
    handlers = JobHandlers()

    @handlers.job
    def named(ctx: JobContext) -> str:
        return threading.current_thread().name

    queue = InMemoryJobQueue(handlers)
    assert (await queue.get_result(await queue.submit("named"))).result == "stoat-jobs named"


async def test_a_job_that_ended_by_itself_was_not_told_to_stop() -> None:
    """What looks at the flag after the end, as a task the handler left, sees no cancel."""
    handlers = JobHandlers()
    contexts: list[JobContext] = []

    @handlers.job
    async def noop(ctx: JobContext) -> None:
        contexts.append(ctx)

    queue = InMemoryJobQueue(handlers)
    await queue.submit("noop")
    assert contexts[0].cancelled is False


async def test_a_group_that_hides_its_errors_fails_its_job_and_no_more__fault_5() -> None:
    """An error that lets nobody look into it fails its job under its own name, at once."""
    handlers = JobHandlers()

    class BaseExceptionGroup(Exception):  # noqa: A001, N818  as the group of some backport
        @property
        def exceptions(self) -> Any:
            raise LookupError("not today")

    @handlers.job
    async def hiding(ctx: JobContext) -> None:
        raise BaseExceptionGroup

    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("hiding"))
    assert (record.status, record.error_type) == (JobStatus.FAILED, "BaseExceptionGroup")
    assert record.error == "BaseExceptionGroup without a message"


@pytest.mark.parametrize("kind", ["sync", "cooperative"])
async def test_a_job_told_to_stop_before_its_first_step_is_not_called(kind: str) -> None:
    """Handlers that have the flag alone are not called for it, and the log has no error."""
    handlers = JobHandlers()
    ends: list[FinishedEvent] = []
    calls: list[JobContext] = []

    @handlers.job
    def sync(ctx: JobContext) -> None:
        calls.append(ctx)

    @handlers.job(cooperative=True)
    async def cooperative(ctx: JobContext) -> None:
        calls.append(ctx)

    class Ends(JobObserver):
        def finished(self, event: FinishedEvent) -> None:
            ends.append(event)

    async with AsyncioJobQueue(handlers, observers=[Ends()]) as queue:
        job_id = await queue.submit(kind)
        assert await queue.cancel(job_id) is True
        await queue.wait(job_id)
    assert calls == []
    assert [(end.record.status, end.exception) for end in ends] == [(JobStatus.CANCELLED, None)]


INTERRUPTED = """
import asyncio
from stoat_jobs import AsyncioJobQueue, JobHandlers

handlers = JobHandlers()

@handlers.job
async def interrupted(ctx):
    raise KeyboardInterrupt

async def main():
    async with AsyncioJobQueue(handlers) as queue:
        await queue.wait(await queue.submit("interrupted"))

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("reached the user")
"""


def test_a_keyboard_interrupt_is_not_reported_as_lost() -> None:
    """What Ctrl-C raised in a handler reaches the user, and no task complains of it besides."""
    # In a process of its own: the log that pytest keeps would hold the task.
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True
    )
    assert run.stdout == "reached the user\n"
    assert "never retrieved" not in run.stderr
