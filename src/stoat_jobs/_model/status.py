"""The states of a job, in one table.

pending  -> running | cancelled
running  -> completed | failed | timeout | cancelled | pending (redelivery only)
terminal -> nothing

- The table owns legality. Whoever changes a status calls :func:`transition`;
  an illegal change raises and changes nothing.
- Terminal is derived: a status without exits.
- ``running -> pending`` is for engines that redeliver a lost worker's jobs. No
  in-process backend does that.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from .._text import shown
from .errors import InvalidTransitionError


class JobStatus(StrEnum):
    """Where a job is in its life; compares equal to its text, as in ``"running"``."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """True when nothing can follow: completed, failed, timeout or cancelled."""
        return self in TERMINAL


# Before Python 3.12 looking one up in its class takes as long as a call.
PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, CANCELLED = JobStatus

TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    PENDING: frozenset({RUNNING, CANCELLED}),
    RUNNING: frozenset({COMPLETED, FAILED, TIMEOUT, CANCELLED, PENDING}),
    COMPLETED: frozenset(),
    FAILED: frozenset(),
    TIMEOUT: frozenset(),
    CANCELLED: frozenset(),
}

# A tuple: it is asked of every job, and takes no step of Python's where it is compared.
TERMINAL = tuple(status for status, following in TRANSITIONS.items() if not following)


def checked_status(status: JobStatus | None) -> JobStatus | None:
    """A status to look for, also as text; None matches any.

    Raises:
        ValueError: there is no such status.
    """
    if status is None:
        return None
    # Not JobStatus(status): the text of its error may fill the memory.
    for known in JobStatus:
        if isinstance(status, str) and str.__eq__(known, status):
            return known
    raise ValueError(f"no status {shown(status)}; there are {', '.join(JobStatus)}")


class HasStatus(Protocol):
    """What :func:`transition` needs of a record."""

    job_id: str
    status: JobStatus


def transition(job: HasStatus, to: JobStatus) -> None:
    """Move *job* to status *to*.

    Raises:
        InvalidTransitionError: the table has no such change; *job* is as it was.
    """
    if to not in TRANSITIONS[job.status]:
        raise InvalidTransitionError(job.job_id, job.status, to)
    job.status = to
