"""Cancels, resubmits or deletes some jobs through a queue that is started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from stoat_jobs import BackendError, JobBackend, JobNotFoundError, JobsError

from .arguments import not_found

# As many as a queue has connections for, by default.
_AT_ONCE = 8


class Outcome(NamedTuple):
    """What became of one job."""

    job_id: str
    problem: str | None = None
    """Why it is not done; None if it is."""
    new_id: str | None = None


One = Callable[[JobBackend, str], Awaitable[Outcome]]
"""Does it to one job."""

Report = Callable[[Outcome], None]


async def cancel(queue: JobBackend, job_id: str) -> Outcome:
    """Tell the job to stop."""
    is_done = await queue.cancel(job_id)
    return Outcome(job_id, None if is_done else f"job {job_id} has finished already")


async def delete(queue: JobBackend, job_id: str) -> Outcome:
    """Drop the record of the job."""
    is_done = await queue.delete(job_id)
    problem = f"job {job_id} has not finished: cancel it first, and delete it when it has ended"
    return Outcome(job_id, None if is_done else problem)


async def resubmit(queue: JobBackend, job_id: str) -> Outcome:
    """Submit the job once more."""
    return Outcome(job_id, new_id=await queue.resubmit(job_id))


async def each(one: One, job_ids: Sequence[str], report: Report, queue: JobBackend) -> None:
    """Do it to all of these jobs, and *report* what became of each, in their order.

    Raises:
        BackendError: the backend fails; what was done before is reported.
    """
    for first in range(0, len(job_ids), _AT_ONCE):
        some = job_ids[first : first + _AT_ONCE]
        done = await asyncio.gather(
            *(_tried(one, queue, job_id) for job_id in some), return_exceptions=True
        )
        for outcome in done:
            if not isinstance(outcome, BaseException):
                report(outcome)
        errors = [outcome for outcome in done if isinstance(outcome, BaseException)]
        if errors:
            raise errors[0]


async def _tried(one: One, queue: JobBackend, job_id: str) -> Outcome:
    try:
        return await one(queue, job_id)
    except BackendError:
        raise
    except JobNotFoundError:
        return Outcome(job_id, not_found(job_id))
    except (JobsError, ValueError) as error:
        return Outcome(job_id, f"job {job_id}: {error}")
