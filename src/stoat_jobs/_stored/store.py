"""What a queue keeps outside its process, and who keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from .._backends.job import place_of_stamp
from .._jobs.protocols import JobTypes, MetadataFilter, Statuses, Unique
from .._model.pages import JobPage
from .._model.records import JobResult
from .._model.status import JobStatus


class StoredJob(BaseModel, frozen=True):
    """A job as a store keeps it: its record, and what it takes to run it in another process.

    ``model_dump_json()`` and ``model_validate_json()`` make text of it and back.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="constants")

    record: JobResult[Any] = Field(
        description="The job as it is; without its `result` and `payload`, which follow as text."
    )
    number: int = Field(description="Jobs accepted later have greater ones.")
    submitted: float = Field(
        description="Seconds since the epoch when it was accepted, exactly: its place in lists."
    )
    payload: str = Field(
        description="The handler's arguments, as JSON; empty once it finished, unless its job type"
        " has `keep_payload`."
    )
    result: str = Field(default="", description="The result, as JSON; empty if there is none.")
    timeout: float = Field(description="Seconds it may take from its start; `inf` for no limit.")
    unique: Unique = Field(
        default="live",
        description="Whether it holds its key while it is `live`, or as long as it is `kept`.",
    )
    payload_digest: str = Field(
        default="", description="Of the payload of a job whose key is kept; else empty."
    )
    deliveries: int = Field(
        default=0, description="How many of its starts have not ended in an orderly way."
    )
    finish_number: int = Field(
        default=0, description="0 for a live job; jobs that finished later have greater ones."
    )

    @property
    def job_id(self) -> str:
        """As in its record."""
        return self.record.job_id


def unchecked_job(fields: dict[str, Any]) -> StoredJob:
    """A stored job of these *fields*, which must be complete and valid.

    ``StoredJob.model_construct`` takes a fifth of all the time that a submission takes.
    """
    job = _new(StoredJob)
    _set(job, "__dict__", fields)
    _set(job, "__pydantic_fields_set__", _FIELDS)
    _set(job, "__pydantic_extra__", None)
    _set(job, "__pydantic_private__", None)
    return job


_FIELDS = set(StoredJob.model_fields)  # one for all, as of records
_new = object.__new__
_set = object.__setattr__  # not the model's own, which refuses everything, as it is frozen


@dataclass(slots=True, eq=False)
class FinishedJob:
    """What a queue knows of a job whose record is in its store: some 300 bytes.

    Of each record that is kept, one of these is in memory; everything else is read when asked
    for. Times are seconds since the epoch.
    """

    job_id: str
    job_type: str
    status: JobStatus
    number: int
    finish_number: int
    submitted: float
    started: float | None
    finished: float
    not_before: float | None = None
    key: str | None = None  # only if it is kept
    digest: str = ""
    shift: float = 0.0

    @classmethod
    def of(cls, stored: StoredJob) -> Self:
        """What is to be known of *stored*, which has finished."""
        record = stored.record
        started, finished, not_before = record.started_at, record.finished_at, record.not_before
        return cls(
            job_id=record.job_id,
            job_type=record.job_type,
            status=record.status,
            number=stored.number,
            finish_number=stored.finish_number,
            submitted=stored.submitted,
            started=None if started is None else started.timestamp(),
            finished=0.0 if finished is None else finished.timestamp(),
            not_before=None if not_before is None else not_before.timestamp(),
            key=record.key if stored.unique == "kept" else None,
            digest=stored.payload_digest,
        )

    @property
    def is_finished(self) -> bool:
        """As of a job."""
        return True

    @property
    def place(self) -> int:
        """Where it is in the order of submission."""
        return place_of_stamp(self.submitted)

    @property
    def duration(self) -> float | None:
        """Seconds from start to finish; None if it never started."""
        return None if self.started is None else self.finished - self.started


class StoreInUseError(OSError):
    """Another queue has the store open."""


class JobStore(Protocol):
    """Where a :class:`StoredJobQueue` keeps its jobs, by their ids.

    Its methods may block: none is called on the event loop's thread. ``read`` is called in one
    thread and all others in another one, so ``read`` may run beside ``write``. Nothing is called
    before ``open`` or after ``close``, except ``open`` again.
    """

    def open(self) -> None:
        """Begin; if this raises, the queue does not start.

        Raises:
            StoreInUseError: another queue has the same store open: jobs would run in both.
        """
        ...

    def live(self) -> Iterable[StoredJob]:
        """All jobs that have not finished, in the order of their numbers.

        Called once after ``finished``, which is read to its end before. What this returns is
        iterated in several calls of the same thread.
        """
        ...

    def finished(self) -> Iterable[FinishedJob]:
        """What the queue has to know of all others, in the order of their numbers.

        Called once after ``open``.
        """
        ...

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        """Keep *new* jobs and *changed* ones, and drop those with the ids in *gone*.

        All of it or, if this raises, nothing. When it returns, the change must survive the end
        of the process. No id is in two of the three. A changed job has its old payload, or none.
        """
        ...

    def read(self, job_ids: Sequence[str]) -> Iterable[StoredJob]:
        """The jobs with these ids, in any order; without those that are not kept."""
        ...

    def close(self) -> None:
        """End; also after an ``open`` that failed."""
        ...


class JobReader(Protocol):
    """Reads the jobs of a queue from outside its process, as for a command line.

    A backend that has one has a classmethod ``open_reader(settings)`` that returns it. It is a
    context manager: it opens what it reads when it is entered. It changes nothing, and may be
    used while a queue runs; what that has not committed yet it does not show.
    """

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            BackendError: there is nothing that it can read; says why.
        """
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        ...

    def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        """As :meth:`stoat_jobs.JobBackend.list_jobs`; results are plain JSON.

        Raises:
            BackendError: it cannot be read; says why.
        """
        ...

    def get_result(self, job_id: str) -> JobResult[Any]:
        """As :meth:`stoat_jobs.AsyncJobQueue.get_result`; the result is plain JSON.

        Raises:
            JobNotFoundError: there is no such job.
            BackendError: it cannot be read; says why.
        """
        ...
