"""The jobs that wait for a slot.

The pattern is that of ``asyncio.Queue``: ``submit`` puts, a free slot gets. It is not that class,
because nobody ever waits in a ``get()``: whatever frees a slot starts the next job at once. And a
job that is cancelled leaves from the middle.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .job import Job


class PendingJobs:
    """The jobs that wait, oldest first; at most *maxsize*, or any number if that is 0."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jobs)

    def full(self) -> bool:
        """Whether as many wait as may."""
        return 0 < self.maxsize <= len(self._jobs)

    def put(self, job: Job) -> None:
        """Let *job* wait, also where it is full."""
        self._jobs[job.job_id] = job

    def get(self) -> Job:
        """Take the oldest out; there must be one."""
        return self._jobs.popitem(last=False)[1]

    def first(self) -> Job:
        """The oldest, which stays; there must be one."""
        return next(iter(self._jobs.values()))

    def remove(self, job: Job) -> None:
        """Take *job* out, wherever it stands."""
        del self._jobs[job.job_id]

    def all(self) -> list[Job]:
        """All that wait, oldest first; they stay."""
        return list(self._jobs.values())

    def replace(self, jobs: Iterable[Job]) -> None:
        """Let only these wait; there may be more than ``maxsize``."""
        self._jobs = OrderedDict((job.job_id, job) for job in jobs)
