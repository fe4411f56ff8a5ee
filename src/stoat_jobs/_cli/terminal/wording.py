"""Turns the fields of a record into text; whoever prints it makes it safe to show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stoat_jobs import JobResult, JobStatus

from ..._display import duration_text

Job = JobResult[Any]


def percent(job: Job) -> str:
    """The progress in percent: empty if unknown, and 100 only if the job is all done."""
    if job.progress is None:
        return ""
    rounded = round(job.progress * 100)
    return f"{rounded if job.progress >= 1 else min(rounded, 99):3}%"


def state(job: Job) -> str:
    """The status, or "stopping" after a cancel until the job has finished."""
    stopping = job.cancel_requested and not job.status.is_terminal
    return "stopping" if stopping else str(job.status)


def attempt(job: Job) -> str:
    """The number of the attempt; empty for the first."""
    return f"attempt {job.attempt + 1}" if job.attempt else ""


def seconds(job: Job, now: datetime) -> float:
    """How long the job took, or has been running or waiting so far."""
    begin = job.started_at or job.submitted_at
    return max(((job.finished_at or now) - begin).total_seconds(), 0.0)


def age(job: Job, now: datetime) -> str:
    """How long ago the job was submitted."""
    return rough(max((now - job.submitted_at).total_seconds(), 0.0))


def rough(seconds: float) -> str:
    """*seconds* in the largest unit that fits, rounded down.

    >>> rough(8.9), rough(95), rough(7384), rough(200_000)
    ('8 s', '1 min', '2 h', '2 d')
    """
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds)} s"


def clock(seconds: float) -> str:
    """*seconds* as a running clock.

    >>> clock(8.9), clock(95), clock(7384)
    ('0:08', '1:35', '2:03:04')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def took(job: Job, now: datetime) -> str:
    """The duration of a finished job, or a running clock."""
    duration = seconds(job, now)
    return duration_text(duration) if job.status.is_terminal else clock(duration)


def took_briefly(job: Job, now: datetime) -> str:
    """Like :func:`took`, in fewer columns."""
    duration = seconds(job, now)
    short = job.status.is_terminal and duration < 60
    return duration_text(duration) if short else clock(duration)


def message(job: Job) -> str:
    """The job's last message, or its error if it finished without completing."""
    if job.status.is_terminal and job.status is not JobStatus.COMPLETED:
        return failure(job)
    return job.message or ""


def failure(job: Job) -> str:
    """The error with its type, but not the type twice; empty if there is no error."""
    kind, error = job.error_type or "", job.error or ""
    if not error or error.startswith(kind):
        return error or kind
    return f"{kind}: {error}"
