"""Run one job, from its first attempt to its outcome.

- What can happen to a run, and what follows, is in the table of :mod:`.state`.
- Every job has its own task, which is never reused: a swallowed cancel cannot hurt another job.
- The reason to stop is set once. An ``async`` handler gets ``CancelledError`` with it. A sync
  handler only sees the flag, until its thread hands back something to await. A cooperative
  handler gets ``CancelledError`` one grace period later.
- A handler that has not returned when its grace period is over is abandoned: the job finishes
  first, then the coroutine is closed. A thread goes on, and nobody waits for it.
- The host is called in the job's own context variables, and told of the outcome at most once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from math import inf
from typing import Any, TypeVar

from .._events.log import log_unstoppable
from .._jobs.context import context_of, current_context, current_job_id
from .._jobs.job_types import JobType
from .._jobs.stop_signal import is_running_here
from .._model.metadata import checked_metadata
from .._payload.results import discard, is_awaitable
from .._text import describe, one_line
from .calls import (
    STAYS_OPEN,
    cancel,
    close,
    forget,
    is_awaited,
    result_of_thread,
    start_thread,
    to_await_here,
)
from .finishing import FinishingRun
from .grace import Grace, grace_seconds
from .host import J, RunHost
from .outcome import CallResult, StopReason
from .retries import Pause, delay_before_retry
from .state import (
    CANCELLING,
    DRAINING,
    LOST,
    LOST_CANCELLING,
    RUNNING,
    STOPPING,
    RunState,
    advance,
    can_become,
)
from .tasks import JobTask
from .thread_relay import Relay, relay_of

T = TypeVar("T")

_set_current_job_id = current_job_id.set  # a lookup less for every job
_set_current_context = current_context.set


class JobRun(FinishingRun[J]):
    """One job being run; also the link behind its handler's :class:`JobContext`."""

    __slots__ = ("_pause", "attempt", "cancelled_early")

    def __init__(self, job: J, definition: JobType[..., Any], host: RunHost[J]) -> None:
        self.job: J = job
        self.definition: JobType[..., Any] = definition
        self.state: RunState = RUNNING
        self.attempt: int = 0
        self.cancelled_early: bool = False
        self.deadline: float = inf
        self.reason: StopReason | None = None
        self.relay: Relay | None = None
        self.task: JobTask | None = None
        self._host = host
        self._call = None
        self._grace = None
        self._pause: Pause | None = None
        self._watched = None

    def start(self) -> None:
        """Begin; the handler is called in the loop's next round."""
        job, host = self.job, self._host
        if job.timeout != inf:
            self._watched = host.deadlines.add(self, job.timeout)
        task = JobTask(
            self._main(), loop=host.loop, name=f"stoat-jobs {job.job_id}", context=job.variables
        )
        task.run = self
        self.task = task

    def stop(self, reason: StopReason) -> bool:
        """Tell the job to stop, unless it has finished or was told before.

        True if *reason* is now why it will finish.
        """
        if can_become(self, STOPPING):
            # The deadline's timer is late where something has blocked the loop.
            late = self._host.now() > self.deadline
            self.reason = StopReason.DEADLINE if late else reason
            advance(self, STOPPING)
            self._grace = Grace(self, self._grace_after(self.reason))
            self._host.stopping(self)
            self._tell_to_stop()
        return self.reason is reason and not self.is_over

    def drop(self) -> None:
        """Another worker has the job: stop the handler, and let nothing come of it.

        The handler is told to stop as by a shutdown, unless it was told before. What it reports
        is ignored, and when it is over or abandoned, the host's :meth:`RunHost.dropped` is called
        in the place of an outcome. A job that has finished is not dropped.
        """
        lost = LOST_CANCELLING if self.state is CANCELLING else LOST
        if can_become(self, lost):
            advance(self, lost)
            if self.reason is None:
                self.reason = StopReason.SHUTDOWN
                self._grace = Grace(self, self._grace_after(self.reason))
                self._tell_to_stop()

    @property
    def cancel_grace(self) -> float:
        """Seconds that the handler has to stop after a cancel or the shutdown."""
        return self._grace_after(StopReason.SHUTDOWN)

    def _grace_after(self, reason: StopReason | None) -> float:
        return grace_seconds(self.definition, reason, self._host.cancel_grace)

    def deadline_passed(self) -> None:
        self.stop(StopReason.DEADLINE)

    def drain(self) -> None:
        """Let the handler finish, but do not call it again: the queue closes."""
        if can_become(self, DRAINING):
            advance(self, DRAINING)
        if self._pause is not None:
            self._pause.end()

    def abandon(self) -> None:
        """Finish the job now, whatever its handler does, and close what can be closed."""
        if self.is_finished:
            return
        given_up = CallResult(None, None, self._host.now())
        if is_running_here(self._host.loop) and asyncio.current_task() is self.task:
            self._finish(given_up, abandoned=True)
            return
        variables = self.job.variables  # a finished job may have let go of them
        variables.run(current_job_id.set, self.job.job_id)  # it may not have begun
        variables.run(partial(self._finish, given_up, abandoned=True))
        if not close(self._call, variables, self.task):
            log_unstoppable(self.job.job_id, self.job.job_type, STAYS_OPEN)
        self._cancel_task()

    # What the handler's JobContext asks for.

    @property
    def cancelled(self) -> bool:
        # A handler that was abandoned because others cancelled its task is told, too.
        return self.reason is not None or (self.is_finished and self._call is not None)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._host.loop

    def report(self, fraction: float, message: str | None) -> None:
        if self.is_over:
            return
        if is_running_here(self._host.loop):
            self._host.progressed(self, fraction, message)
        else:
            relay_of(self).report(fraction, message)

    @property
    def metadata(self) -> Mapping[str, Any]:
        relay = self.relay
        return self.job.metadata if relay is None or self.is_finished else relay.metadata

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        host = self._host
        added = checked_metadata(fields, host.max_metadata_bytes)
        if self.is_over:
            return
        relay = relay_of(self)
        relay.merge_metadata(added, host.max_metadata_bytes)
        if is_running_here(host.loop):
            host.metadata_updated(self, relay.metadata)
        else:
            relay.send_metadata()

    def metadata_updated(self, metadata: Mapping[str, Any]) -> None:
        """A thread has updated it."""
        if not self.is_over:
            self.job.variables.run(self._host.metadata_updated, self, metadata)

    async def wait_cancelled(self) -> None:
        signal = relay_of(self).signal
        # Now that it can be seen: before, whoever told the job to stop told no relay.
        if self.cancelled or self.is_finished:
            signal.give(told=self.cancelled)
        await signal.wait()

    def run_from_thread(self, coro: Coroutine[Any, Any, T]) -> T:
        return relay_of(self).run(coro)

    def progressed(self, fraction: float, message: str | None) -> None:
        """A thread has reported."""
        if not self.is_over:
            self.job.variables.run(self._host.progressed, self, fraction, message)

    async def _main(self) -> None:
        """What the job's task does: call the handler, and finish the job.

        The first call of an ``async`` handler is awaited here: a coroutine around it would cost
        every job, and most handlers just return.
        """
        result: CallResult | None = None
        try:
            _set_current_job_id(self.job.job_id)
            if self.reason is not None or self.cancelled_early:
                raise asyncio.CancelledError  # noqa: TRY301 - a call less for every job
            if self.definition.is_async:
                try:
                    context = context_of(self.job, 0, self._host.queue, self)
                    _set_current_context(context)
                    self._host.attempt_started(self, None)
                    # In one statement: else a Ctrl-C might leave one that nobody closes.
                    self._call = call = self.definition.function(
                        context, **self.job.payload.arguments
                    )
                    value = await call
                except Exception as error:  # others are not retried
                    result = CallResult(None, error, self._host.now())
            else:
                result = await self._attempt()
            if result is not None and result.error is not None:
                result = await self._retried(result)
        except KeyboardInterrupt as error:
            discard(self._call)  # it may have come before the first step of the coroutine
            self._conclude(CallResult(None, error, self._host.now()))
            if self.task is not None:
                self.task.add_done_callback(asyncio.Task.exception)  # retrieved, for the loop
            raise  # it is the user's, not the job's
        except BaseException as error:
            # Cancelled from outside, also before the first step or while a thread works.
            result = CallResult(None, error, self._host.now())
            self._conclude(result, abandoned=self.is_alive)
        else:
            if result is None:
                self._complete(value)
            else:
                self._conclude(result)
        finally:  # the traceback of its error leads back to this frame, and the task to this
            del result
            self.task = None

    async def _retried(self, result: CallResult) -> CallResult:
        """Call the handler again until it returns, or is not to be called again."""
        try:
            while (delay := self._delay_after(result)) is not None:
                if self.state is RUNNING:
                    await self._rest(delay)
                if self.state is not RUNNING:
                    result.would_retry = True  # were neither it nor its queue told to stop
                    break
                self.attempt += 1
                result = await self._attempt(result.error)
            return result
        finally:  # on Python 3.12 the traceback of its error leads back to this frame: a cycle
            del result

    async def _attempt(self, previous: BaseException | None = None) -> CallResult:
        """Call the handler once, in a thread if it is not ``async``."""
        context = context_of(self.job, self.attempt, self._host.queue, self)
        _set_current_context(context)
        self._host.attempt_started(self, previous)
        call: Callable[[], Any] = partial(self.definition.function, context, **self._arguments())
        if not self.definition.is_async:
            result = await self._in_thread(call)
            if not is_awaitable(result.value):
                return result
            call = partial(to_await_here, result.value, is_stopped=self.reason is not None)
        try:
            self._call = coroutine = call()
            return CallResult(await coroutine, None, self._host.now())
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return CallResult(None, error, self._host.now())

    def _arguments(self) -> dict[str, Any]:
        if self.attempt == 0:
            return self.job.payload.arguments
        # A further attempt must not see what the one before made of its arguments.
        return self.definition.form.thaw(self.job.payload.text)

    async def _in_thread(self, call: Callable[[], Any]) -> CallResult:
        name, done = one_line(self.job.job_type, 80), self._host.loop.create_future()
        self._call = start_thread(call, done, self._host.now, f"stoat-jobs {name}")
        return await result_of_thread(done)

    def _delay_after(self, result: CallResult) -> float | None:
        """Seconds before the handler is called again, were the queue not closing; None if not."""
        error = result.error
        if error is None or self.state not in (RUNNING, DRAINING):
            return None
        host, retry = self._host, self.attempt + 1
        delay = delay_before_retry(self.job, error, retry, self.definition, delays=host.delays)
        return delay if delay is not None and delay < self.deadline - host.now() else None

    async def _rest(self, delay: float) -> None:
        self._pause = Pause(self._host.loop)
        try:
            await self._pause.wait(delay)
        finally:
            self._pause = None

    def _tell_to_stop(self) -> None:
        if self.relay is not None:
            self.relay.signal.give(told=True)
        if self._pause is not None:
            self._pause.end()
        elif not self.definition.cooperative:
            self.cancel_handler()

    def cancel_handler(self) -> None:
        """Cancel the handler: its coroutine, or what its threads run on the loop."""
        if self.relay is not None:
            self.relay.cancel()
        if self._hears_cancels():
            self._cancel_task()

    @property
    def gets_second_grace(self) -> bool:
        return self.definition.cooperative and self._hears_cancels()

    def _hears_cancels(self) -> bool:  # a thread only has the flag
        return self.definition.is_async or is_awaited(self._call)

    def _cancel_task(self) -> None:
        if self.task is None or self.loop.is_closed() or (refusal := cancel(self.task)) is None:
            return
        why = f"what it awaits cannot be cancelled: {describe(refusal)}"
        log_unstoppable(self.job.job_id, self.job.job_type, why)
        if self.is_finished:
            forget(self.task)
