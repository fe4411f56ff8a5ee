"""Pages of the jobs of a store: live ones from memory, the records of others read on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from .._backends.job import Job
from .._backends.listing import STEPS_A_TURN
from .._model.filters import JobFilter
from .._model.pages import JobPage, cursor_at
from .._model.records import JobResult
from .store import FinishedJob

Read = Callable[[Sequence[Any]], Awaitable[dict[str, JobResult[Any]]]]
"""Reads the records of finished jobs."""

# Records that are read at once, of a store that has others to serve.
_AT_ONCE = 200


async def page_of(jobs: list[Job], wanted: JobFilter, limit: int, read: Read) -> JobPage[Any]:
    """The first *limit* of *jobs*, newest first, that are *wanted*."""
    found: list[tuple[int, JobResult[Any]]] = []
    some: list[Job] = []
    by_facts = replace(wanted, metadata=None)
    # Only the records have the metadata; the rest is known before they are read.
    at_once = _AT_ONCE if wanted.metadata else min(_AT_ONCE, limit + 1)
    for number, job in enumerate(jobs, 1):
        if by_facts.matches(job):
            some.append(job)
        if len(some) == at_once or number == len(jobs):
            found += await _records_of(some, wanted, read)
            some = []
            if len(found) > limit:
                break
        elif number % STEPS_A_TURN == 0:
            await asyncio.sleep(0)
    cursor = cursor_at(found[limit - 1][0]) if len(found) > limit else None
    return JobPage([record for _, record in found[:limit]], cursor)


async def _records_of(
    jobs: list[Any], wanted: JobFilter, read: Read
) -> list[tuple[int, JobResult[Any]]]:
    """The records of those of *jobs* that are *wanted* and still kept, with their places."""
    records = await read([job for job in jobs if isinstance(job, FinishedJob)])
    pairs = [
        (job.place, records.get(job.job_id) if isinstance(job, FinishedJob) else job.record())
        for job in jobs
    ]
    return [
        (place, record) for place, record in pairs if record is not None and wanted.matches(record)
    ]
