"""A backend whose jobs are in a file that a test writes, one record on a line, the newest first."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stoat_jobs import (
    InMemoryJobQueue,
    JobNotFoundError,
    JobPage,
    JobQueueSettings,
    JobResult,
)
from stoat_jobs.backends import Capabilities, JobFilter


class KeptReader:
    """Reads the file; a cursor is the number of the line at which the next page begins."""

    def __init__(self, settings: JobQueueSettings) -> None:
        if settings.url is None:
            raise ValueError("url must be set:\nno file")
        lines = Path(settings.url).read_text().splitlines()
        self._records = [JobResult[Any].model_validate_json(line) for line in lines]

    def list_jobs(
        self,
        *,
        status: Any = None,
        job_type: Any = None,
        metadata: Any = None,
        before: str | None = None,
        limit: int,
    ) -> JobPage[Any]:
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        found = list(filter(wanted.matches, self._records))
        first = int(before or 0)
        end = first + limit
        return JobPage(found[first:end], str(end) if end < len(found) else None)

    def get_result(self, job_id: str) -> JobResult[Any]:
        for record in self._records:
            if record.job_id == job_id:
                return record
        raise JobNotFoundError(job_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class KeptQueue(InMemoryJobQueue):
    open_reader = KeptReader


class Unreadable(InMemoryJobQueue):
    capabilities = Capabilities(durable=True)
