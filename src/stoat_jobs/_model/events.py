"""What observers receive: one frozen event each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .records import JobResult


@dataclass(frozen=True)
class SubmittingEvent:
    """A job is about to be accepted; it has no id yet."""

    job_type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class SubmittedEvent:
    """A job was accepted."""

    job_id: str
    job_type: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class StartedEvent:
    """A handler is about to be called; ``attempt`` counts these calls from 0.

    From the second call on, ``previous`` is the exception that ended the call before.
    """

    job_id: str
    job_type: str
    attempt: int
    metadata: Mapping[str, Any]
    previous: BaseException | None = None


@dataclass(frozen=True)
class ProgressEvent:
    """A handler reported its progress."""

    job_id: str
    job_type: str
    attempt: int
    progress: float
    message: str | None


@dataclass(frozen=True)
class FinishedEvent:
    """A job has finished; ``record`` is its terminal record.

    ``duration_s`` is the seconds from start to finish, None for a job that never started.
    ``exception`` is what the handler raised, with its traceback. ``abandoned`` says that the
    handler was still running when the job finished.
    """

    job_id: str = field(init=False)
    job_type: str = field(init=False)
    record: JobResult[Any]
    duration_s: float | None
    exception: BaseException | None = None
    abandoned: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "job_id", self.record.job_id)
        object.__setattr__(self, "job_type", self.record.job_type)


RemovalReason = Literal["age", "number", "deleted"]


@dataclass(frozen=True)
class RemovedEvent:
    """A finished record is kept no longer; ``record`` is what it said.

    ``reason`` is ``"age"`` (``result_ttl``), ``"number"`` (``max_results``) or ``"deleted"``.
    """

    job_id: str = field(init=False)
    job_type: str = field(init=False)
    record: JobResult[Any]
    reason: RemovalReason

    def __post_init__(self) -> None:
        object.__setattr__(self, "job_id", self.record.job_id)
        object.__setattr__(self, "job_type", self.record.job_type)
