"""The jobs that wait for a slot.

The pattern is that of ``asyncio.Queue``: ``submit`` puts a job, a free slot takes one. It is not
that class, because nobody ever waits in a ``get()``: what frees a slot starts the next job at
once. And a job that is cancelled leaves from the middle, which a dict by id does at no cost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .._run.outcome import Outcome, StopReason, never_started
from .job import Job


class PendingJobs(OrderedDict[str, Job]):
    """The jobs that wait, by their ids, oldest first."""

    def __init__(self, maxsize: int) -> None:
        super().__init__()
        self.maxsize = maxsize

    def full(self) -> bool:
        """Whether ``maxsize`` jobs wait; never, if that is 0."""
        return 0 < self.maxsize <= len(self)

    def put(self, job: Job) -> None:
        """Let *job* wait, even if there are too many: who accepts it has to ask."""
        self[job.job_id] = job

    def take(self) -> Job:
        """The oldest, which waits no longer; there must be one."""
        return self.popitem(last=False)[1]

    def stop(self, job: Job, reason: StopReason) -> Outcome:
        """Let *job* wait no longer, as it was told to stop; returns how it finishes."""
        del self[job.job_id]
        return never_started(reason)

    def first(self) -> Job:
        """The oldest, which goes on waiting; there must be one."""
        return next(iter(self.values()))

    def replace(self, jobs: Iterable[Job]) -> None:
        """Let only these wait; there may be more than ``maxsize``."""
        self.clear()
        for job in jobs:
            self.put(job)
