"""What a queue keeps outside its process, and who keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from .._jobs.protocols import Unique
from .._model.records import JobResult


class StoredJob(BaseModel, frozen=True):
    """A job as a store keeps it: enough to run it in another process, or its last record.

    ``model_dump_json()`` and ``model_validate_json()`` make text of it and back.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="constants")

    job_id: str = Field(description="A random UUID4 in its usual text form.")
    job_type: str = Field(description="The name the handler is registered under.")
    number: int = Field(description="Jobs accepted later have greater ones.")
    payload: str = Field(
        description="The handler's arguments, as JSON; empty once it finished, unless its job type"
        " has `keep_payload`."
    )
    timeout: float = Field(description="Seconds it may take from its start; `inf` for no limit.")
    key: str | None = Field(description="As given to `submit`.")
    metadata: dict[str, Any] = Field(
        description="A JSON object: as given to `submit`, and as the handler has updated it."
    )
    submitted_at: datetime = Field(description="When it was accepted, in UTC.")
    submitted: float = Field(
        default=0.0,
        description="The same in seconds since the epoch, exactly: its place in lists.",
    )
    not_before: datetime | None = Field(
        default=None, description="When it may start, in UTC; None for a job without a delay."
    )
    unique: Unique = Field(
        default="live",
        description="Whether it holds its key while it is `live`, or as long as it is `kept`.",
    )
    payload_digest: str = Field(
        default="", description="Of the payload of a job whose key is kept; else empty."
    )
    deliveries: int = Field(default=0, description="How often it was started.")
    cancel_requested: bool = Field(default=False, description="Whether a caller asked it to stop.")
    record: JobResult[Any] | None = Field(
        default=None, description="Its last record once it finished, with plain JSON as `result`."
    )
    finish_number: int = Field(default=0, description="Jobs that finished later have greater ones.")


class JobStore(Protocol):
    """Where a :class:`StoredJobQueue` keeps its jobs, by their ids.

    Its methods are called on the event loop's thread, so they should be quick. When ``save`` or
    ``forget`` returns, the change must survive the end of the process. Nothing is called between
    ``close`` and the next ``open``.

    A store may have one method more, ``save_many(jobs: Sequence[StoredJob])``, which keeps all of
    *jobs* or, if it raises, none; ``submit_many`` calls it. Without it they are saved one by one,
    and forgotten again if one fails.
    """

    def open(self) -> None:
        """Begin; if this raises, the queue does not start.

        Raise if another process has the same store open: jobs would run in both.
        """
        ...

    def load(self) -> Iterable[StoredJob]:
        """All jobs that are kept, in any order."""
        ...

    def save(self, job: StoredJob) -> None:
        """Keep *job*, instead of what was kept under its id."""
        ...

    def forget(self, job_id: str) -> None:
        """Drop the job with this id."""
        ...

    def close(self) -> None:
        """End; also after an ``open`` that failed."""
        ...


def save_all(store: JobStore, jobs: Sequence[StoredJob]) -> None:
    """Keep all of *jobs* or, if this raises, none."""
    save_many = getattr(store, "save_many", None)
    if save_many is not None and len(jobs) > 1:
        save_many(jobs)
    else:
        _save_one_by_one(store, jobs)


def _save_one_by_one(store: JobStore, jobs: Sequence[StoredJob]) -> None:
    saved: list[StoredJob] = []
    try:
        for job in jobs:
            store.save(job)
            saved.append(job)
    except BaseException:
        for job in reversed(saved):
            with suppress(Exception):  # what made the save fail
                store.forget(job.job_id)
        raise
