"""A queue under test, with handlers that wait at gates until the test opens them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, cast

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobResult, JobStatus

from ._clock import REAL_LIMIT, FakeClockLoop


class Call:
    """One call of a gated handler: what it was given, how it is made to end.

    Attributes:
        ctx: the context the handler was given.
        payload: its other arguments, by name.
        gate: what the handler waits for: a future of asyncio, or of a thread.
        thread: the thread it runs in.
        cancels: how often it was cancelled while it waited.
        ended: the handler has let go: returned, raised or been closed.
    """

    def __init__(self, ctx: JobContext, payload: dict[str, Any], gate: Any) -> None:
        self.ctx = ctx
        self.payload = payload
        self.gate = gate
        self.thread = threading.current_thread()
        self.cancels = 0
        self.ended = False

    @property
    def job_id(self) -> str:
        """The id of the job that this call works for."""
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
        """Wait for the thread of a sync handler, whose gate is open, to end."""
        self.thread.join(REAL_LIMIT)


class Bench:
    """A queue, its gated handlers, and short ways to do what nearly every test does.

    Job types, all taking any payload and returning what :meth:`Call.finish` is given:

    - ``hold``: async, ends when it is cancelled. ``retrying``: the same with three retries.
    - ``deaf``: async, swallows every cancel. ``polite``: async and cooperative.
    - ``work``: sync, in a thread, and looks at no flag.

    A submission runs in a task, so that it serves a queue whose ``submit`` returns only
    when the job has ended.
    """

    def __init__(self) -> None:
        self.clock = cast(FakeClockLoop, asyncio.get_running_loop())
        self.handlers = JobHandlers()
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

    # Doing.

    async def put(self, job_type: str = "hold", payload: Any = None, **options: Any) -> str:
        """Submit, let everything run that can, and return the job's id."""
        submission = self.submit(job_type, payload, **options)
        await self.clock.settle()
        if submission.done():
            return submission.result()
        newest = await self.queue.list_jobs(limit=1)
        return newest[0].job_id

    def submit(
        self, job_type: str = "hold", payload: Any = None, **options: Any
    ) -> asyncio.Task[str]:
        """Submit in a task of its own."""
        submitting = self.queue.submit(job_type, payload or {}, **options)
        submission = asyncio.ensure_future(submitting)
        self.submissions.append(submission)
        return submission

    async def begin(self, job_type: str = "hold", payload: Any = None, **options: Any) -> Call:
        """Submit a gated job that finds a free slot, and return the call of its handler."""
        return await self.call(await self.put(job_type, payload, **options))

    async def run(
        self, job_type: str, payload: Mapping[str, Any] | None = None, **options: Any
    ) -> JobResult[Any]:
        """Submit a job that ends by itself, and return its last record."""
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
        """Let a call return *value*, and return the job's last record."""
        call.finish(value)
        return await self.queue.wait(call.job_id)

    async def record(self, job_id: str) -> JobResult[Any]:
        """The job's record, once everything has run that can."""
        await self.clock.settle()
        return await self.queue.get_result(job_id)

    async def status(self, job_id: str) -> JobStatus:
        """The job's status, once everything has run that can."""
        return (await self.record(job_id)).status

    def watching(self, job_id: str) -> Watching:
        """A watcher that notes what it is shown, in a task of its own."""
        return Watching(self.queue.watch(job_id))

    async def open(self) -> None:
        """Start the queue, as ``async with`` does."""
        await self.queue.__aenter__()

    async def close(self) -> None:
        """Stop the queue, moving time on as far as that needs."""
        await self.clock.drive(self.queue.__aexit__(None, None, None))

    # Cleaning up.

    def open_gates(self) -> None:
        """Let every handler return, also those that begin from now on."""
        self._open = True
        for call in self.calls:
            call.finish()

    def shut_gates(self) -> None:
        """Let handlers that begin from now on wait again."""
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
        """Wait at a gate, and swallow every cancel."""
        call = self._called(Call(ctx, payload, self.clock.create_future()))
        try:
            while not call.gate.done():
                await self._resist(call)
            return call.gate.result()
        finally:
            call.ended = True

    async def _resist(self, call: Call) -> None:
        try:
            # Not a shield: since Python 3.14 it logs the error of what its owner no longer awaits.
            await asyncio.wait([call.gate])
        except asyncio.CancelledError:
            call.cancels += 1

    def work(self, ctx: JobContext, /, **payload: Any) -> Any:
        """Wait at a gate in a thread, and look at no flag."""
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


class Watching:
    """What one watcher has been shown so far."""

    def __init__(self, records: AsyncIterator[JobResult[Any]]) -> None:
        self.seen: list[JobResult[Any]] = []
        self.task = asyncio.ensure_future(self._read(records))

    async def _read(self, records: AsyncIterator[JobResult[Any]]) -> None:
        async for record in records:
            self.seen.append(record)

    @property
    def over(self) -> bool:
        """The watch came to its end."""
        return self.task.done()

    @property
    def statuses(self) -> list[JobStatus]:
        """The statuses it was shown, in order."""
        return [record.status for record in self.seen]

    async def all(self) -> list[JobResult[Any]]:
        """Every record shown, once the watch has ended."""
        await self.task
        return self.seen
