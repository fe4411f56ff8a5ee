"""Run one job, from its first attempt to its outcome.

The status table owns legality, this module owns outcomes, a backend owns storage and
scheduling: a backend never decides what an exception means, and nothing is stored here.

- Every job has a task of its own, never reused, so that a swallowed cancel hurts no other.
- The reason to stop is set once, by :meth:`JobRun.stop`. An ``async`` handler gets
  ``CancelledError`` with it. A sync one has the flag alone. A cooperative one has the
  flag, and ``CancelledError`` one grace period later.
- A handler that has not ended when its grace is over is left behind: the job is settled
  first, then the coroutine is closed. A thread runs on, and nobody waits for it.
- A job whose task others cancelled failed. It ends one round later: if the queue begins to
  close in that round, as when ``asyncio.run`` cancels everything, the shutdown stopped it.
- The host is told in the job's own context, and settled at most once.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from ._calls import HandlerCall, cancel, close, forget, is_alive, start_thread
from ._context import context_of, is_running_here
from ._hosting import J, RunHost
from ._jobtypes import JobType
from ._logging import log_event
from ._outcome import INTERRUPTED, Ended, Outcome, StopReason, classify, kept
from ._pause import Pause, backoff
from ._relay import Relay
from ._tasks import first_step, spawn
from ._text import describe, one_line

T = TypeVar("T")

_SWALLOWS_ALL = "it swallows GeneratorExit too, and can hold up the exit of the process"
# Two threads of one job may be the first to need its relay.
_ONE_RELAY = threading.Lock()
_TASKS_COPY_CONTEXTS = sys.version_info < (3, 11)


class JobRun(Generic[J]):
    """One job being run; also the link behind its handler's :class:`JobContext`."""

    __slots__ = (
        "_call",
        "_closing",
        "_cut_off",
        "_grace",
        "_host",
        "_pause",
        "_relay",
        "_second_grace",
        "_settled",
        "_task",
        "attempt",
        "deadline",
        "handler",
        "job",
        "reason",
    )

    def __init__(self, job: J, handler: JobType[..., Any], host: RunHost[J]) -> None:
        self.job = job
        self.handler = handler
        self.attempt = 0
        self.deadline = math.inf
        self.reason: StopReason | None = None
        self._host = host
        self._settled = False
        self._closing = False
        self._cut_off = False
        self._second_grace = False
        self._relay: Relay | None = None
        self._task: asyncio.Task[None] | None = None
        self._call: HandlerCall | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._pause: Pause | None = None

    def start(self) -> None:
        """Begin; the handler is called in the loop's next round."""
        job = self.job
        if job.timeout != math.inf:
            self._host.deadlines.add(self, job.timeout)
        main = self._main()
        main.send(None)  # to its first await, see first_step
        self._task = spawn(main, self._host.loop, f"stoat-jobs {job.job_id}", job.context)

    def stop(self, reason: StopReason) -> bool:
        """Tell the job to stop, unless it has ended or was told before.

        True if *reason* is now why it will end.
        """
        if self._settled:
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
        """Called by the watch over deadlines."""
        self.stop(StopReason.DEADLINE)

    def queue_closes(self) -> None:
        """Let the handler finish, but do not call it again."""
        self._closing = True
        if self._pause is not None:
            self._pause.end()

    def abandon(self) -> None:
        """Settle the job now, whatever its handler does, and end what can be ended."""
        if self._settled:
            return
        ended = Ended(None, None, self._host.now())
        if is_running_here(self._host.loop) and asyncio.current_task() is self._task:
            self._end(ended, abandoned=True)
            return
        context = self.job.context  # a settled job may have let go of it
        context.run(partial(self._end, ended, abandoned=True))
        if not close(self._call, context, self._task):
            self._complain(_SWALLOWS_ALL)
        self._cancel_task()

    @property
    def alive(self) -> bool:
        """Whether the handler is still at it, be its job settled or not."""
        return is_alive(self._call)

    @property
    def over(self) -> bool:
        """Whether nothing of the run is left: neither its handler nor its task."""
        return not self.alive and (self._task is None or self._task.done())

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The job's own task."""
        return self._task

    # What the handler's JobContext asks for.

    @property
    def cancelled(self) -> bool:
        # One that was left behind because others cancelled its task is told, too.
        return self.reason is not None or (self._settled and self._call is not None)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._host.loop

    def report(self, fraction: float, message: str | None) -> None:
        if self._settled:
            return
        if is_running_here(self._host.loop):
            self._host.progressed(self, fraction, message)
        else:
            self._from_threads().report(fraction, message)

    def run_from_thread(self, coro: Coroutine[Any, Any, T]) -> T:
        return self._from_threads().run(coro)

    def _from_threads(self) -> Relay:
        with _ONE_RELAY:
            if self._relay is None:
                self._relay = Relay(self._host.loop, self._progressed, closed=self._settled)
            return self._relay

    def _progressed(self, fraction: float, message: str | None) -> None:
        if not self._settled:
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
            if self._task is not None:
                self._task.add_done_callback(asyncio.Task.exception)  # retrieved, for the loop
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
        if _TASKS_COPY_CONTEXTS:  # and observers may have written in the copy
            job.context = contextvars.copy_context()
        context = context_of(job, self.attempt, host.queue, self)
        # A further attempt must not see what the one before made of its arguments.
        arguments = handler.form.thaw(job.payload.text) if self.attempt else job.payload.arguments
        if not handler.is_async:
            return await self._in_thread(partial(handler.function, context, **arguments))
        try:
            call = self._call = handler.function(context, **arguments)
            value = await call
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Ended(None, error, now())
        return Ended(value, None, now())

    async def _in_thread(self, call: Callable[[], Any]) -> Ended:
        done: asyncio.Future[Ended] = self._host.loop.create_future()
        name = f"stoat-jobs {one_line(self.job.job_type, 80)}"
        self._call = start_thread(call, done, self._host.now, name)
        return await done

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
        if self._relay is not None:
            self._relay.cancel()
        if self.handler.is_async:
            self._cancel_task()

    def _cancel_task(self) -> None:
        if self._task is None or (refusal := cancel(self._task)) is None:
            return
        self._complain(f"what it awaits cannot be cancelled: {describe(refusal)}")
        if self._settled:
            forget(self._task)

    def _start_grace(self) -> None:
        # An empty context: a timer would keep the caller's alive, which may be another job's.
        host, empty = self._host, contextvars.Context()
        self._grace = host.loop.call_later(host.cancel_grace, self._grace_over, context=empty)

    def _grace_over(self) -> None:
        handler = self.handler
        if handler.cooperative and handler.is_async and not self._second_grace:
            self._second_grace = True
            self._start_grace()
            self._cancel_calls()
        else:
            self.abandon()

    def _complain(self, error: str) -> None:
        log_event(
            logging.ERROR,
            "handler_unstoppable",
            job_id=self.job.job_id,
            job_type=one_line(self.job.job_type, 200),
            error=error,
        )

    # The end.

    def _end(self, ended: Ended, *, abandoned: bool = False) -> None:
        if self._settled or (ended.error is not None and self._is_void(ended)):
            return
        self._settled = True
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
        if self._relay is not None:
            self._relay.close()

    def _outcome(self, ended: Ended, abandoned: bool) -> Outcome:
        if self.reason is None and ended.at > self.deadline:
            self.reason = StopReason.DEADLINE
        elif self.reason is None and self._closing and ended.cancelled:
            self.reason = StopReason.SHUTDOWN
        outcome = classify(self.reason, ended, self.job.timeout, abandoned=abandoned)
        keep = self._host.keep_result
        return outcome if keep is None else kept(outcome, partial(keep, self.handler))

    def _is_void(self, ended: Ended) -> bool:
        """Whether an end by an exception does not settle the job, or not yet."""
        if self._host.loop.is_closed():  # under a queue that nobody left, and nobody can use
            self._settled = True
        return self._settled or self._is_cut_off(ended)

    def _is_cut_off(self, ended: Ended) -> bool:
        """Whether others cancelled the job, and it is to be seen whether they stop the queue."""
        if self.reason is not None or self._closing or self._cut_off or not ended.cancelled:
            return False
        self._cut_off = True
        self._host.loop.call_soon(self._end_cut_off, ended, context=self.job.context)
        return True

    def _end_cut_off(self, ended: Ended) -> None:
        self._end(ended, abandoned=self.alive)
