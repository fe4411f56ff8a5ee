"""A queue under test, with handlers that wait until the test lets them finish."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self, cast

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobResult, JobStatus
from stoat_jobs.backends import Capabilities

from ._clock import FakeClockLoop
from ._others import REAL_LIMIT, is_idle, is_reused


class Call:
    """One call of a gated handler: its arguments, and how the test ends it.

    Attributes:
        ctx: the handler's context.
        payload: its other arguments, by name.
        gate: the future for which the handler waits, of asyncio or of a thread.
        thread: the thread in which it runs.
        cancels: how often it was cancelled while it waited.
        ended: whether the handler has returned, raised or been closed.
    """

    def __init__(self, ctx: JobContext, payload: dict[str, Any], gate: Any) -> None:
        self.ctx = ctx
        self.payload = payload
        self.gate = gate
        self.thread: threading.Thread = threading.current_thread()
        self.cancels = 0
        self.ended = False

    @property
    def job_id(self) -> str:
        """The id of the job that called the handler."""
        return self.ctx.job_id

    def finish(self, value: Any = None) -> None:
        """Let the handler return *value*."""
        if not self.gate.done():
            self.gate.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Let the handler raise *error*."""
        if not self.gate.done():
            self.gate.set_exception(error)

    def join(self) -> None:
        """Wait until the thread of a sync handler has ended or is idle; its gate must be open."""
        if not is_reused(self.thread):
            self.thread.join(REAL_LIMIT)
            return
        limit = time.monotonic() + REAL_LIMIT
        while self.thread.is_alive() and not is_idle(self.thread) and time.monotonic() < limit:
            time.sleep(0.0005)  # real time: the loop is held meanwhile


class Bench:
    """A queue, its gated handlers, and short methods for what most tests do.

    Its job types accept any payload and return the value of :meth:`Call.finish`:

    - ``hold``: async, ends when it is cancelled. ``retrying``: the same with three retries.
    - ``deaf``: async, swallows every cancellation. ``polite``: async and cooperative.
    - ``work``: sync, in a thread, never checks its flag.

    Each submission runs in a task, because the ``submit`` of some queues returns only when the
    job has finished.
    """

    def __init__(self) -> None:
        self.clock: FakeClockLoop = cast(FakeClockLoop, asyncio.get_running_loop())
        self.handlers: JobHandlers = JobHandlers()
        self.calls: list[Call] = []
        self.submissions: list[asyncio.Task[str]] = []
        self._arrived = asyncio.Event()
        self._loop_thread = threading.current_thread()
        self._open = False
        self.queue: JobBackend
        self.handlers.register("hold", self.hold)
        self.handlers.register("retrying", self.hold, retries=3)
        self.handlers.register("polite", self.hold, cooperative=True)
        self.handlers.register("deaf", self.deaf)
        self.handlers.register("work", self.work)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the queue declares."""
        return Capabilities.of(self.queue)

    # Doing.

    async def put(self, job_type: str = "hold", payload: Any = None, **options: Any) -> str:
        """Submit, let everything run that is ready, and return the job's id."""
        submission = self.submit(job_type, payload, **options)
        await self.clock.settle()
        if submission.done():
            return submission.result()
        if self.capabilities.submit_returns_early:  # what only looked idle talks to a server
            job_id = await submission
            await self.clock.settle()
            return job_id
        newest = await self.queue.list_jobs(limit=1)
        return newest[0].job_id

    def submit(
        self, job_type: str = "hold", payload: Any = None, **options: Any
    ) -> asyncio.Task[str]:
        """Submit in a new task."""
        submitting = self.queue.submit(job_type, payload or {}, **options)
        submission = asyncio.ensure_future(submitting)
        self.submissions.append(submission)
        return submission

    def resubmit(self, job_id: str) -> asyncio.Task[str]:
        """Submit a finished job once more, in a new task."""
        submission = asyncio.ensure_future(self.queue.resubmit(job_id))
        self.submissions.append(submission)
        return submission

    async def begin(self, job_type: str = "hold", payload: Any = None, **options: Any) -> Call:
        """Submit a gated job that finds a free slot, and return the call of its handler."""
        return await self.call(await self.put(job_type, payload, **options))

    async def run(
        self, job_type: str, payload: Mapping[str, Any] | None = None, **options: Any
    ) -> JobResult[Any]:
        """Submit a job that finishes by itself, and return its terminal record."""
        return await self.queue.wait(await self.put(job_type, payload, **options))

    async def call(self, job_id: str) -> Call:
        """The latest call of the job's handler, as soon as there is one."""
        while not (calls := self.calls_of(job_id)):
            await self._arrival()
        return calls[-1]

    async def call_number(self, number: int) -> Call:
        """The call after *number* others, as soon as there is one."""
        while len(self.calls) <= number:
            await self._arrival()
        return self.calls[number]

    def calls_of(self, job_id: str) -> list[Call]:
        """The calls of the job's handler so far, one for each attempt."""
        return [call for call in self.calls if call.job_id == job_id]

    async def _arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    async def finish(self, call: Call, value: Any = None) -> JobResult[Any]:
        """Let a call return *value*, and return the job's terminal record."""
        call.finish(value)
        return await self.queue.wait(call.job_id)

    async def record(self, job_id: str) -> JobResult[Any]:
        """The job's record, once everything has run that is ready."""
        await self.clock.settle()
        return await self.queue.get_result(job_id)

    async def status(self, job_id: str) -> JobStatus:
        """The job's status, once everything has run that is ready."""
        return (await self.record(job_id)).status

    def watching(self, job_id: str) -> Watching:
        """A watcher that collects what it is shown, in a new task."""
        return Watching(self.queue.watch(job_id))

    async def pruned(self) -> None:
        """Let as much time pass as the queue may take to remove records beyond ``max_results``."""
        if not self.capabilities.prunes_at_once:
            await self.clock.advance(10)

    async def open(self) -> None:
        """Start the queue, as ``async with`` does."""
        await self.queue.__aenter__()

    async def close(self) -> None:
        """Stop the queue, and advance time as far as that needs."""
        await self.clock.drive(self.queue.__aexit__(None, None, None))

    async def close_after(self, call: Call) -> None:
        """Stop the queue, and let *call* return while it drains: so no job of it goes on."""
        closing = asyncio.ensure_future(self.queue.__aexit__(None, None, None))
        await self.clock.settle()
        call.finish()
        await closing

    # Cleaning up.

    def open_gates(self) -> None:
        """Let every handler return, also those that start from now on."""
        self._open = True
        for call in self.calls:
            call.finish()

    def shut_gates(self) -> None:
        """Let handlers that start from now on wait again."""
        self._open = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.open_gates()
        if exc is None:
            await self._leave()

    async def _leave(self) -> None:
        for call in self.calls:
            if call.thread is not threading.current_thread():
                call.join()
        await self.clock.settle()
        if self.queue.started:
            await self.close()
        await asyncio.gather(*self.submissions, return_exceptions=True)

    # The handlers.

    async def hold(self, ctx: JobContext, /, **payload: Any) -> Any:
        """Wait at a gate, and end when cancelled."""
        call = self._called(Call(ctx, payload, self.clock.create_future()))
        try:
            return await call.gate
        except asyncio.CancelledError:
            call.cancels += 1
            raise
        finally:
            call.ended = True

    async def deaf(self, ctx: JobContext, /, **payload: Any) -> Any:
        """Wait at a gate, and swallow every cancellation."""
        call = self._called(Call(ctx, payload, self.clock.create_future()))
        try:
            while not call.gate.done():
                await self._resist(call)
            return call.gate.result()
        finally:
            call.ended = True

    async def _resist(self, call: Call) -> None:
        try:
            # Not shield(): since Python 3.14 it logs errors of a future that is no longer awaited.
            await asyncio.wait([call.gate])
        except asyncio.CancelledError:
            call.cancels += 1

    def work(self, ctx: JobContext, /, **payload: Any) -> Any:
        """Wait at a gate in a thread, and never check the flag."""
        gate: concurrent.futures.Future[Any] = concurrent.futures.Future()
        call = Call(ctx, payload, gate)
        if call.thread is self._loop_thread:  # waiting here would hang the whole test
            raise RuntimeError("a sync handler was called on the event loop's own thread")
        self.clock.call_soon_threadsafe(self._called, call)
        try:
            return gate.result()
        finally:
            call.ended = True

    def _called(self, call: Call) -> Call:
        self.calls.append(call)
        self._arrived.set()
        if self._open:
            call.finish()
        return call


async def all_records(queue: JobBackend) -> list[JobResult[Any]]:
    """Every kept record, newest first, by pages."""
    page = await queue.list_jobs(limit=1_000)
    found = list(page)
    while page.cursor is not None:
        page = await queue.list_jobs(limit=1_000, before=page.cursor)
        found += page
    return found


class Watching:
    """What one watcher has been shown so far."""

    def __init__(self, records: AsyncIterator[JobResult[Any]]) -> None:
        self.seen: list[JobResult[Any]] = []
        self.task: asyncio.Task[None] = asyncio.ensure_future(self._read(records))

    async def _read(self, records: AsyncIterator[JobResult[Any]]) -> None:
        async for record in records:
            self.seen.append(record)

    @property
    def over(self) -> bool:
        """Whether the watch has ended."""
        return self.task.done()

    @property
    def statuses(self) -> list[JobStatus]:
        """The statuses it was shown, in order."""
        return [record.status for record in self.seen]

    async def all(self) -> list[JobResult[Any]]:
        """Every record shown, once the watch has ended."""
        await self.task
        return self.seen
