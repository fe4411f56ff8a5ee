"""What a queue keeps outside its process, and who keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from .._model.records import JobResult


class StoredJob(BaseModel, frozen=True):
    """A job as a store keeps it: enough to run it in another process, or its last record.

    ``model_dump_json()`` and ``model_validate_json()`` make text of it and back.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="constants")

    job_id: str = Field(description="A random UUID4 in its usual text form.")
    job_type: str = Field(description="The name the handler is registered under.")
    number: int = Field(description="Jobs accepted later have greater ones.")
    payload: str = Field(description="The handler's arguments, as JSON; empty once it finished.")
    timeout: float = Field(description="Seconds it may take from its start; `inf` for no limit.")
    key: str | None = Field(description="As given to `submit`.")
    metadata: dict[str, Any] = Field(
        description="A JSON object: as given to `submit`, and as the handler has updated it."
    )
    submitted_at: datetime = Field(description="When it was accepted, in UTC.")
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
