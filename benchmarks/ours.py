"""stoat-jobs itself: from ``submit`` to the end of each job, whose status or record is read by id.

The settings are the defaults, except for the number of slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
)

from .measure import Stopwatch, require

FIELDS = {"name": "report", "count": 3, "urgent": True}

handlers = JobHandlers()


@handlers.job
async def noop(ctx: JobContext) -> None: ...


@handlers.job
async def three_fields(ctx: JobContext, name: str, count: int, urgent: bool) -> int:
    return count


@handlers.job
def in_thread(ctx: JobContext) -> None: ...


def make_queue(slots: int = 1, **settings: Any) -> AsyncioJobQueue:
    return AsyncioJobQueue(handlers, JobQueueSettings(concurrency=slots, **settings))


async def read_all(queue: JobBackend, ids: list[str], result: object = None) -> int:
    """Read each record, check it and drop it; returns the number of jobs with the right result."""
    good = 0
    for job_id in ids:
        record = await queue.get_result(job_id)
        good += record.status is JobStatus.COMPLETED and record.result == result
    return good


async def submit_all(
    queue: AsyncioJobQueue, jobs: int, job_type: str = "noop", payload: dict[str, Any] | None = None
) -> list[str]:
    """Submit *jobs* without a pause and wait for the last ones; returns their ids."""
    if payload is None:
        ids = [await queue.submit(job_type) for _ in range(jobs)]
    else:
        ids = [await queue.submit(job_type, payload) for _ in range(jobs)]
    for job_id in ids[-queue.settings.concurrency :]:
        await queue.wait(job_id)
    return ids


async def records(
    jobs: int, watch: Stopwatch, slots: int, payload: dict[str, Any] | None = None
) -> int:
    async with make_queue(slots) as queue:
        with watch:
            ids = await submit_all(queue, jobs, _taking(payload), payload)
            return await read_all(queue, ids, _result_of(payload))


async def statuses(
    jobs: int, watch: Stopwatch, slots: int, payload: dict[str, Any] | None = None
) -> int:
    """The same, but only the status is read; the results are checked later, untimed."""
    async with make_queue(slots) as queue:
        completed = 0
        with watch:
            for job_id in (ids := await submit_all(queue, jobs, _taking(payload), payload)):
                completed += await queue.get_status(job_id) is JobStatus.COMPLETED
        return min(completed, await read_all(queue, ids, _result_of(payload)))


def _taking(payload: dict[str, Any] | None) -> str:
    return "noop" if payload is None else "three_fields"


def _result_of(payload: dict[str, Any] | None) -> object:
    return None if payload is None else payload["count"]


async def threads(jobs: int, watch: Stopwatch, slots: int) -> int:
    async with make_queue(slots) as queue:
        with watch:
            ids = await submit_all(queue, jobs, "in_thread")
            return await read_all(queue, ids)


async def in_memory(jobs: int, watch: Stopwatch) -> int:
    """The backend for tests: a job has finished when its submit returns."""
    queue = InMemoryJobQueue(handlers)
    async with queue:
        with watch:
            ids = [await queue.submit("noop") for _ in range(jobs)]
            return await read_all(queue, ids)


async def idle() -> None:
    """Let everything run that is ready in the loop."""
    for _ in range(3):
        await asyncio.sleep(0)


async def check_completed(
    queue: AsyncioJobQueue, ids: list[str], expected: int, right: Callable[[Any], bool]
) -> None:
    """End the run unless *expected* jobs are completed, each with the right result."""
    records = [await queue.get_result(job_id) for job_id in ids]
    good = [r for r in records if r.status is JobStatus.COMPLETED and right(r.result)]
    require(len(good), expected, "completed records")
