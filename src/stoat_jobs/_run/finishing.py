"""How a run finishes: the one way to an outcome, and a short one for a handler that just returned.

- A run finishes once, whatever its handler still does, and its host is told at most once.
- One whose job another worker has finishes without an outcome, and its host is told of that.
- One that others have cut off waits a round of the event loop: did they close the whole queue?
- Nothing that happens later on account of the job is left: no deadline, no grace period, no relay.
"""

from __future__ import annotations

import contextvars
from functools import partial
from typing import Any, Generic

from .._jobs.job_types import JobType
from .._payload.results import discard
from .calls import HandlerCall, abandon, is_alive
from .deadlines import Watched
from .grace import Grace
from .host import J, RunHost
from .outcome import INTERRUPTED, CallResult, Outcome, StopReason, classify, kept
from .state import CUT_OFF, DRAINING, FINISHED, NOT_OURS, RUNNING, RunState, advance
from .tasks import JobTask
from .thread_relay import Relay


class FinishingRun(Generic[J]):
    """A run of a job, as far as its finish needs it; :class:`JobRun` is the rest of it."""

    __slots__ = (
        "_call",
        "_grace",
        "_host",
        "_watched",
        "deadline",
        "definition",
        "job",
        "reason",
        "relay",
        "state",
        "task",
    )

    job: J
    definition: JobType[..., Any]
    state: RunState
    deadline: float
    reason: StopReason | None
    relay: Relay | None
    task: JobTask | None
    _host: RunHost[J]
    _call: HandlerCall | None
    _grace: Grace | None
    _watched: Watched | None

    def deadline_passed(self) -> None:
        """Tell the job to stop."""
        raise NotImplementedError

    @property
    def is_finished(self) -> bool:
        """Whether the job has its outcome, whatever its handler still does."""
        return self.state is FINISHED

    @property
    def is_over(self) -> bool:
        """Whether the job has its outcome, or another worker has the job: reports are ignored."""
        return self.state is FINISHED or self.state in NOT_OURS

    @property
    def is_alive(self) -> bool:
        """Whether the handler has yet to return, also if its job has finished."""
        return is_alive(self._call)

    @property
    def is_gone(self) -> bool:
        """Whether nothing of the run is left: neither its handler nor its task."""
        return not self.is_alive and (self.task is None or self.task.done())

    def _complete(self, value: Any) -> None:
        """Finish the short way, if nothing is out of line: what :meth:`_conclude` comes to then."""
        host = self._host
        now = host.now()
        if (
            self.state is not RUNNING
            or now > self.deadline
            or self.relay is not None
            or id(type(value)) not in host.kept_as_is
        ):
            self._conclude(CallResult(value, None, now))
            return
        advance(self, FINISHED)
        try:
            if self._watched is not None:
                self._watched.pop(self, None)
            self._call = None
        finally:  # as in _finish
            host.completed(self, value, now)  # type: ignore[arg-type] # every run is a JobRun

    def _conclude(self, result: CallResult, *, abandoned: bool = False) -> None:
        """The handler is not called again: finish the job, or wait a round if it is cut off."""
        if self.state is FINISHED:
            return
        if result.error is None:
            self._finish(result)
        elif self._host.loop.is_closed():
            advance(self, FINISHED)  # under a queue that nobody left, and nobody can use
        elif self.state is RUNNING and result.cancelled:
            self._cut_off(result)
        else:
            self._finish_after(result, abandoned)

    def _cut_off(self, result: CallResult) -> None:
        advance(self, CUT_OFF)
        # Not in the job's variables, which the end of the whole queue must be able to enter.
        no_variables = contextvars.Context()
        self._host.loop.call_soon(self._end_cut_off, result, context=no_variables)

    def _end_cut_off(self, result: CallResult) -> None:
        self._host.cancelled_externally()
        if not self.is_finished:
            self.job.variables.run(self._finish_after, result, self.is_alive)

    def _finish_after(self, result: CallResult, abandoned: bool) -> None:
        in_time = result.at <= self.deadline
        if self.state is DRAINING and in_time and result.cancelled:
            self.reason = StopReason.SHUTDOWN  # which cancelled it, as asyncio.run does
        self._finish(result, abandoned=abandoned)

    def _finish(self, result: CallResult, *, abandoned: bool = False) -> None:
        if self.state in NOT_OURS:
            self._end_lost(result, abandoned)
            return
        advance(self, FINISHED)
        outcome = INTERRUPTED
        try:
            self._let_go(abandoned)
            if self.reason is None and result.at > self.deadline:
                self.reason = StopReason.DEADLINE
            outcome = self._outcome(result, abandoned)
        finally:  # a Ctrl-C in there, or in an exception's own text, must not keep the slot
            self._host.finished(self, outcome)  # type: ignore[arg-type] # every run is a JobRun

    def _end_lost(self, result: CallResult, abandoned: bool) -> None:
        """The handler is over, or abandoned, and nobody wants to know how."""
        advance(self, FINISHED)
        try:
            self._let_go(abandoned)
            discard(result.value)
        finally:  # as in _finish
            self._host.dropped(self)  # type: ignore[arg-type] # every run is a JobRun

    def _let_go(self, abandoned: bool) -> None:
        """Nothing shall happen any more on account of this job."""
        if self._watched is not None:
            self._watched.pop(self, None)
        if abandoned:
            abandon(self._call)
        else:
            self._call = None  # it refers back to this run, and would wait for the collector
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None  # it refers back, too
        if self.relay is not None:
            self.relay.close()

    def _outcome(self, result: CallResult, abandoned: bool) -> Outcome:
        outcome = classify(self.reason, result, self.job.timeout, abandoned=abandoned)
        if id(type(outcome.result)) not in self._host.kept_as_is:
            outcome = kept(outcome, partial(self._host.keep_result, self.definition))
        return outcome
