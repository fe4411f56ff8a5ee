"""Pages of jobs, and cancelling many: what looks at all jobs gives up turns of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from .._model.filters import JobFilter
from .._model.pages import JobPage, cursor_at
from .._model.records import JobResult
from .job import Job

# A turn is given up after so many steps, less than a millisecond: one for each job that is looked
# at, and more for each of which a record is made or that is cancelled. A hundred records are fewer.
STEPS_A_TURN = 1_000
_STEPS_A_RECORD = 9
_STEPS_A_CANCEL = 20


async def page_of(jobs: Iterable[Job], wanted: JobFilter, limit: int) -> JobPage[Any]:
    """The first *limit* of *jobs*, newest first, that are *wanted*."""
    found: list[JobResult[Any]] = []
    place = steps = 0
    for job in jobs:
        if wanted.matches(job):
            if len(found) == limit:
                return JobPage(found, cursor_at(place))
            found.append(job.record())
            place = job.place
            steps += _STEPS_A_RECORD
        steps += 1
        if steps >= STEPS_A_TURN:
            steps = 0
            await asyncio.sleep(0)
    return JobPage(found)


async def cancel_each(jobs: list[Job], wanted: JobFilter, cancel: Callable[[Job], bool]) -> int:
    """Cancel those of *jobs* that are *wanted* and live; how many will be cancelled.

    What waits comes first: else it would start when what runs has stopped.
    """
    count = steps = 0
    for has_started in (False, True):
        for job in jobs:
            steps += 1
            is_live = not job.is_finished and (job.started is not None) is has_started
            if is_live and wanted.matches(job):
                count += cancel(job)
                steps += _STEPS_A_CANCEL
            if steps >= STEPS_A_TURN:
                steps = 0
                await asyncio.sleep(0)
    return count
