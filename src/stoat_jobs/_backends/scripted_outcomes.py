"""Outcomes that a test sets beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._jobs.context import JobContext
from .._jobs.job_types import JobType
from .._model.status import JobStatus
from .._run.outcome import Outcome, StopReason, failed, never_started
from .._text import describe


def scripted(status: JobStatus, result: Any, error: str | Exception | None) -> Outcome:
    """The outcome that a test asks for, without its result.

    Raises:
        ValueError: *status* is not terminal, or does not go with *result* or *error*.
        TypeError: *error* is neither text nor an exception.
    """
    if not status.is_terminal:
        raise ValueError(f"an outcome is completed, failed, timeout or cancelled, not {status}")
    if status is JobStatus.COMPLETED and error is not None:
        raise ValueError("a completed job has no error")
    if not (error is None or isinstance(error, (str, Exception))):
        raise TypeError(f"error must be text or an exception, not {error!r}")
    if status in (JobStatus.FAILED, JobStatus.TIMEOUT) and result is not None:
        raise ValueError(f"a job that ends {status} has no result")
    return _outcome(status, error or "as scripted")


def _outcome(status: JobStatus, error: str | Exception) -> Outcome:
    if status is JobStatus.COMPLETED:
        return Outcome(status)
    exception = error if isinstance(error, Exception) else Exception(error)
    if status is JobStatus.FAILED:
        return failed(exception)
    reason = StopReason.DEADLINE if status is JobStatus.TIMEOUT else StopReason.CANCEL
    return replace(never_started(reason), error=describe(exception))


def stand_in(job_type: str) -> JobType[..., Any]:
    """A job type that accepts any payload, for a name without a handler."""
    return JobType(job_type, _never_called)


def is_stand_in(definition: JobType[..., Any]) -> bool:
    """Whether there is no handler behind *definition*."""
    return definition.function is _never_called


def _never_called(ctx: JobContext, **payload: Any) -> Any:
    """The script says how its jobs end."""
