"""Pages of the jobs of a store: live ones from memory, the records of others read on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from .._model.filters import JobFilter
from .._model.pages import JobPage, cursor_at
from .._model.records import JobResult
from .job import Job
from .store import FinishedJob

Read = Callable[[Sequence[Any]], Awaitable[dict[str, JobResult[Any]]]]
"""Reads the records of finished jobs."""

# Jobs looked at before the records are read that may belong to the page.
_AT_ONCE = 200


async def page_of(jobs: list[Job], wanted: JobFilter, limit: int, read: Read) -> JobPage[Any]:
    """The first *limit* of *jobs*, newest first, that are *wanted*."""
    found: list[tuple[int, JobResult[Any]]] = []
    by_facts = replace(wanted, metadata=None)
    for start in range(0, len(jobs), _AT_ONCE):
        some = [job for job in jobs[start : start + _AT_ONCE] if by_facts.matches(job)]
        records = await read([job for job in some if isinstance(job, FinishedJob)])
        for job in some:
            record = records.get(job.job_id) if isinstance(job, FinishedJob) else job.record()
            if record is not None and wanted.matches(record):
                found.append((job.place, record))
        if len(found) > limit:
            return JobPage([record for _, record in found[:limit]], cursor_at(found[limit - 1][0]))
    return JobPage([record for _, record in found])
