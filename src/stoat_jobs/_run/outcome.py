"""How a job finishes: the one place that says what an exception means.

- A job has at most one stop reason, set once. It decides the status; without one, what the
  handler returned or raised does.
- A value returned after a cancel or a shutdown is kept as partial work; one returned after
  the deadline is dropped.
- A handler's own TimeoutError is a failure like any other, and so is a CancelledError
  that nobody asked the queue for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from .._model.status import JobStatus
from .._payload.results import discard
from .._text import describe, leaf_errors, name_of


class StopReason(Enum):
    """Why a job was told to stop."""

    DEADLINE = "deadline"
    CANCEL = "cancel"
    SHUTDOWN = "shutdown"


# Both are made for each job: slots are read faster than a named tuple's fields, and made in
# half the time, if they are not frozen.


@dataclass(slots=True)
class CallResult:
    """What one call of a handler returned or raised; ``at`` is seconds on the loop's clock.

    ``would_retry`` says that it would be called again, had the queue not begun to close.
    """

    value: Any
    error: BaseException | None
    at: float
    would_retry: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether it raised a cancellation."""
        return self.error is not None and is_cancellation(self.error)


@dataclass(slots=True)
class Outcome:
    """How a job finished, as a record keeps it.

    ``exception`` is for the log: what the handler raised, unless it only obeyed a cancel.
    ``refused`` says that the handler did return, but its result cannot be kept. ``would_retry``
    says that the handler would have been called again, had the queue not begun to close: a
    backend that requeues gives the job back.
    """

    status: JobStatus
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    exception: BaseException | None = None
    abandoned: bool = False
    refused: bool = False
    would_retry: bool = False

    def last_progress(self, reported: float | None) -> float | None:
        """What the record shows of the progress that was *reported* last: a failed job is not done.

        A handler reports 1.0 before it returns, but its result may be refused then.
        """
        return None if self.refused and reported == 1.0 else reported

    def overruled(self, reason: StopReason, limit: float) -> Outcome:
        """The outcome, had the job been told to stop for *reason* before its handler ended.

        For a backend that promises a cancel after that, while the outcome is not yet written.
        *limit* is the job's timeout in seconds, for the text.
        """
        error = None if self.refused else self.exception
        result = CallResult(self.result, error, 0.0)
        return classify(reason, result, limit, abandoned=self.abandoned)


INTERRUPTED = Outcome(
    JobStatus.FAILED, None, "the end of the job was interrupted", "KeyboardInterrupt"
)
"""Of a job that was finishing when a Ctrl-C came."""

_STOPPED = {
    StopReason.DEADLINE: (JobStatus.TIMEOUT, "Timeout", "ran longer than its limit of {limit:g} s"),
    StopReason.CANCEL: (JobStatus.CANCELLED, "Cancelled", "cancelled on request"),
    StopReason.SHUTDOWN: (JobStatus.CANCELLED, "Shutdown", "stopped by the queue's shutdown"),
}


def classify(
    reason: StopReason | None, result: CallResult, limit: float, *, abandoned: bool = False
) -> Outcome:
    """The outcome of a job that was told to stop for *reason*, or finished by itself (None).

    *limit* is the job's timeout in seconds, for the text.
    """
    if reason is not None:
        return stopped(reason, result, limit, abandoned)
    if result.error is not None:
        return replace(failed(result.error, abandoned), would_retry=result.would_retry)
    return Outcome(JobStatus.COMPLETED, result.value)


def stopped(reason: StopReason, result: CallResult, limit: float, abandoned: bool) -> Outcome:
    """The outcome of a job that was told to stop."""
    status, error_type, text = _STOPPED[reason]
    partial = None if reason is StopReason.DEADLINE else result.value
    if partial is None:
        discard(result.value)
    obeyed = result.error is None or is_cancellation(result.error)
    exception = None if obeyed else result.error
    return Outcome(status, partial, text.format(limit=limit), error_type, exception, abandoned)


def failed(error: BaseException, abandoned: bool = False) -> Outcome:
    """The outcome of a job whose handler raised *error* by itself."""
    text = describe(error)
    if is_cancellation(error):
        text += ": it was cancelled, but not through the queue"
    return Outcome(JobStatus.FAILED, None, text, name_of(type(error)), error, abandoned)


def never_started(reason: StopReason) -> Outcome:
    """The outcome of a job that was told to stop while it was pending."""
    status, error_type, text = _STOPPED[reason]
    return Outcome(status, None, f"{text} before it started", error_type)


def kept(outcome: Outcome, keep: Callable[[Any], Any]) -> Outcome:
    """*outcome* with what *keep* makes of its result; a result that it refuses fails the job."""
    if outcome.result is None and outcome.status is not JobStatus.COMPLETED:
        return outcome
    try:
        result = keep(outcome.result)
        return outcome if result is outcome.result else replace(outcome, result=result)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever looking at it can raise
        if outcome.error is None:
            return replace(failed(error), refused=True)
        return replace(outcome, result=None)


def is_cancellation(error: BaseException) -> bool:
    """Whether *error* is a CancelledError, or a group of nothing else."""
    # Not isinstance(), which asks the error for its __class__.
    return all(issubclass(type(leaf), asyncio.CancelledError) for leaf in leaf_errors(error))
