"""Run one job, from its first attempt to its outcome.

The status table owns legality, this module owns outcomes, a backend owns storage and
scheduling: a backend never decides what an exception means, and nothing is stored here.

- Every job has a task of its own, never reused, so that a swallowed cancel hurts no other.
- The reason to stop is set once, by :meth:`JobRun.stop`. An ``async`` handler gets
  ``CancelledError`` with it. A sync one has the flag alone, until its thread hands back
  what is to be awaited. A cooperative one has ``CancelledError`` one grace period later.
- A handler that has not ended when its grace is over is left behind: the job is settled
  first, then the coroutine is closed. A thread runs on, and nobody waits for it.
- A job whose task others cancelled failed. It ends one round later: if the queue begins to
  close in that round, as when ``asyncio.run`` cancels everything, the shutdown stopped it.
- The host is told in the job's own context, and settled at most once.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from .._events.log import log_unstoppable
from .._jobs.context import context_of, is_running_here
from .._jobs.job_types import JobType
from .._payload.results import is_awaitable
from .._text import describe, one_line
from .calls import (
    HandlerCall,
    call_later,
    cancel,
    close,
    forget,
    handed_back,
    is_alive,
    is_awaited,
    start_thread,
    taken_over,
)
from .host import J, RunHost
from .outcome import INTERRUPTED, Ended, Outcome, StopReason, classify, kept
from .relay import Relay, relay_of
from .retries import Pause, backoff
from .tasks import first_step, spawn

T = TypeVar("T")

_SWALLOWS_ALL = "it swallows GeneratorExit too, and can hold up the exit of the process"


class JobRun(Generic[J]):
    """One job being run; also the link behind its handler's :class:`JobContext`."""

    __slots__ = (
        "_call",
        "_closing",
        "_cut_off",
        "_grace",
        "_host",
        "_pause",
        "_second_grace",
        "attempt",
        "deadline",
        "ended",
        "handler",
        "job",
        "reason",
        "relay",
        "task",
    )

    def __init__(self, job: J, handler: JobType[..., Any], host: RunHost[J]) -> None:
        self.job = job
        self.handler = handler
        self.attempt = 0
        self.deadline = math.inf
        self.reason: StopReason | None = None
        self._host = host
        self.ended = False
        self._closing = False
        self._cut_off = False
        self._second_grace = False
        self.relay: Relay | None = None
        self.task: asyncio.Task[None] | None = None
        self._call: HandlerCall | None = None
        self._grace: asyncio.Handle | None = None
        self._pause: Pause | None = None

    def start(self) -> None:
        """Begin; the handler is called in the loop's next round."""
        job = self.job
        if job.timeout != math.inf:
            self._host.deadlines.add(self, job.timeout)
        main = self._main()
        main.send(None)  # to its first await, see first_step
        self.task = spawn(main, self._host.loop, f"stoat-jobs {job.job_id}", job.context)

    def stop(self, reason: StopReason) -> bool:
        """Tell the job to stop, unless it has ended or was told before.

        True if *reason* is now why it will end.
        """
        if self.ended:
            return False
        if self.reason is None:
            # The deadline's timer is late where something has blocked the loop.
            late = self._host.now() > self.deadline
            self.reason = StopReason.DEADLINE if late else reason
            self._start_grace()
            self._host.stopping(self)
            self._interrupt()
        return self.reason is reason

    def deadline_passed(self) -> None:
        self.stop(StopReason.DEADLINE)

    def queue_closes(self) -> None:
        """Let the handler finish, but do not call it again."""
        self._closing = True
        if self._pause is not None:
            self._pause.end()

    def abandon(self) -> None:
        """Settle the job now, whatever its handler does, and end what can be ended."""
        if self.ended:
            return
        ended = Ended(None, None, self._host.now())
        if is_running_here(self._host.loop) and asyncio.current_task() is self.task:
            self._end(ended, abandoned=True)
            return
        context = self.job.context  # a settled job may have let go of it
        context.run(partial(self._end, ended, abandoned=True))
        if not close(self._call, context, self.task):
            self._complain(_SWALLOWS_ALL)
        self._cancel_task()

    @property
    def alive(self) -> bool:
        """Whether the handler is still at it, be its job settled or not."""
        return is_alive(self._call)

    @property
    def over(self) -> bool:
        """Whether nothing of the run is left: neither its handler nor its task."""
        return not self.alive and (self.task is None or self.task.done())

    # What the handler's JobContext asks for.

    @property
    def cancelled(self) -> bool:
        # One that was left behind because others cancelled its task is told, too.
        return self.reason is not None or (self.ended and self._call is not None)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._host.loop

    def report(self, fraction: float, message: str | None) -> None:
        if self.ended:
            return
        if is_running_here(self._host.loop):
            self._host.progressed(self, fraction, message)
        else:
            relay_of(self).report(fraction, message)

    def run_from_thread(self, coro: Coroutine[Any, Any, T]) -> T:
        return relay_of(self).run(coro)

    def progressed(self, fraction: float, message: str | None) -> None:
        """A thread has reported."""
        if not self.ended:
            self.job.context.run(self._host.progressed, self, fraction, message)

    # The task.

    async def _main(self) -> None:
        try:
            await first_step()
            ended = await self._attempt()
            while ended.error is not None and await self._goes_on(ended.error):
                ended = await self._attempt(ended.error)
        except KeyboardInterrupt as error:
            self._end(Ended(None, error, self._host.now()))
            if self.task is not None:
                self.task.add_done_callback(asyncio.Task.exception)  # retrieved, for the loop
            raise  # it is the user's, not the job's
        except BaseException as error:
            # Cancelled from outside: before the first step, or while a thread works.
            self._end(Ended(None, error, self._host.now()), abandoned=self.alive)
        else:
            self._end(ended)

    async def _attempt(self, previous: BaseException | None = None) -> Ended:
        now = self._host.now
        if self.reason is not None:  # told to stop before its first step
            return Ended(None, asyncio.CancelledError(), now())
        host, job, handler = self._host, self.job, self.handler
        host.attempt_started(self, previous)
        context = context_of(job, self.attempt, host.queue, self)
        # A further attempt must not see what the one before made of its arguments.
        arguments = handler.form.thaw(job.payload.text) if self.attempt else job.payload.arguments
        call = partial(handler.function, context, **arguments)
        if not handler.is_async:
            ended = await self._in_thread(call)
            if not is_awaitable(ended.value):
                return ended
            call = partial(taken_over, ended.value, is_stopped=self.reason is not None)
        try:
            self._call = coroutine = call()
            value = await coroutine
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Ended(None, error, now())
        return Ended(value, None, now())

    async def _in_thread(self, call: Callable[[], Any]) -> Ended:
        name, done = one_line(self.job.job_type, 80), self._host.loop.create_future()
        self._call = start_thread(call, done, self._host.now, f"stoat-jobs {name}")
        return await handed_back(done)

    # Attempts.

    async def _goes_on(self, error: BaseException) -> bool:
        """Whether there is another attempt; waits until it may begin."""
        delay = self._delay_before_next(error)
        if delay is None:
            return False
        if delay > 0:
            await self._rest(delay)
        if self.reason is not None or self._closing:
            return False
        self.attempt += 1
        return True

    async def _rest(self, delay: float) -> None:
        self._pause = Pause(self._host.loop)
        try:
            await self._pause.wait(delay)
        finally:
            self._pause = None

    def _delay_before_next(self, error: BaseException) -> float | None:
        """Seconds to the next attempt; None if there is none."""
        if self.reason is not None or self._closing or self.attempt >= self.handler.retries:
            return None
        if not issubclass(type(error), Exception):
            return None
        delay = backoff(self.attempt + 1) if self._host.delays else 0.0
        return delay if self._host.now() + delay < self.deadline else None

    # Stopping.

    def _interrupt(self) -> None:
        if self._pause is not None:
            self._pause.end()
        elif not self.handler.cooperative:
            self._cancel_calls()

    def _cancel_calls(self) -> None:
        """Cancel the handler: its coroutine, or what its threads run on the loop."""
        if self.relay is not None:
            self.relay.cancel()
        if self._hears_cancels():
            self._cancel_task()

    def _hears_cancels(self) -> bool:  # a thread has the flag only
        return self.handler.is_async or is_awaited(self._call)

    def _cancel_task(self) -> None:
        if self.task is None or self.loop.is_closed() or (refusal := cancel(self.task)) is None:
            return
        self._complain(f"what it awaits cannot be cancelled: {describe(refusal)}")
        if self.ended:
            forget(self.task)

    def _start_grace(self) -> None:
        self._grace = call_later(self._host.loop, self._host.cancel_grace, self._last_turn)

    def _last_turn(self) -> None:
        # uvloop runs what is due before what was ready: the handler may not have heard yet.
        self._grace = self._host.loop.call_soon(self._grace_over, context=contextvars.Context())

    def _grace_over(self) -> None:
        if self.handler.cooperative and self._hears_cancels() and not self._second_grace:
            self._second_grace = True
            self._start_grace()
            self._cancel_calls()
        else:
            self.abandon()

    def _complain(self, error: str) -> None:
        log_unstoppable(self.job.job_id, self.job.job_type, error)

    # The end.

    def _end(self, ended: Ended, *, abandoned: bool = False) -> None:
        if self.ended or (ended.error is not None and self._is_void(ended)):
            return
        self.ended = True
        outcome = INTERRUPTED
        try:
            self._let_go(abandoned)
            outcome = self._outcome(ended, abandoned)
        finally:  # a Ctrl-C in there, or in an exception's own text, must not keep the slot
            self._host.settled(self, outcome)

    def _let_go(self, abandoned: bool) -> None:
        """Nothing shall happen any more on account of this job."""
        self._host.deadlines.discard(self, self.job.timeout)
        if not abandoned:
            self._call = None  # it refers back to this run, and would wait for the collector
        if self._grace is not None:
            self._grace.cancel()
        if self.relay is not None:
            self.relay.close()

    def _outcome(self, ended: Ended, abandoned: bool) -> Outcome:
        if self.reason is None and ended.at > self.deadline:
            self.reason = StopReason.DEADLINE
        elif self.reason is None and self._closing and ended.cancelled:
            self.reason = StopReason.SHUTDOWN
        outcome = classify(self.reason, ended, self.job.timeout, abandoned=abandoned)
        if id(type(outcome.result)) not in self._host.kept_as_is:
            outcome = kept(outcome, partial(self._host.keep_result, self.handler))
        return outcome

    def _is_void(self, ended: Ended) -> bool:
        """Whether an end by an exception does not settle the job, or not yet."""
        if self._host.loop.is_closed():  # under a queue that nobody left, and nobody can use
            self.ended = True
        return self.ended or self._is_cut_off(ended)

    def _is_cut_off(self, ended: Ended) -> bool:
        """Whether others cancelled the job, and it is to be seen whether they stop the queue."""
        if self.reason is not None or self._closing or self._cut_off or not ended.cancelled:
            return False
        self._cut_off = True
        # Not in the job's context, which the end of the whole queue must be able to enter.
        self._host.loop.call_soon(self._end_cut_off, ended, context=contextvars.Context())
        return True

    def _end_cut_off(self, ended: Ended) -> None:
        self._host.cut_off()
        if not self.ended:
            self.job.context.run(self._end, ended, abandoned=self.alive)
