"""A plain model of a queue: the state it should have after each step, with its own status table.

There are two kinds of handlers: one ends as soon as it is cancelled, the other ignores that, and
ends when its gate opens or its grace is over. Of the first kind, one job type has a limit of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from stoat_jobs import JobQueueSettings, JobStatus

P, R, C, F, T, X = (
    JobStatus.PENDING,
    JobStatus.RUNNING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.TIMEOUT,
    JobStatus.CANCELLED,
)

LEGAL = {P: {R, X}, R: {C, F, T, X, P}, C: set(), F: set(), T: set(), X: set()}

STOPPED = {"Cancelled": X, "Timeout": T, "Shutdown": X}


@dataclass
class ModelJob:
    """One job as it should be."""

    job_id: str
    deaf: bool
    key: str | None
    timeout: float
    kept: bool = False
    limited: bool = False
    due: float = 0.0
    status: JobStatus = P
    reason: str | None = None
    error_type: str | None = None
    progress: float | None = None
    cancel_requested: bool = False
    deadline: float = math.inf
    grace_end: float = math.inf
    finished_at: float = math.inf

    def seen(self) -> tuple[Any, ...]:
        """What a record should show."""
        return (self.status, self.error_type, self.progress, self.cancel_requested)

    def next_event(self) -> float:
        """When something happens to it by itself."""
        if self.status is not R:
            return math.inf
        return self.deadline if self.reason is None else self.grace_end


class QueueModel:
    """A queue as it should be.

    Attributes:
        jobs: those that are kept, by id, in the order of submission.
        gone: ids of those that are not kept any more.
        starts: ids in the order in which their handlers were called.
        ended: everything that has ended, in that order.
    """

    def __init__(
        self,
        settings: JobQueueSettings,
        slots: int,
        now: float,
        *,
        durable: bool = False,
        requeues: bool = False,
        waits: bool = True,
    ) -> None:
        self.durable = durable
        self.requeues = requeues
        self.waits = waits
        self.settings = settings
        self.slots = slots
        self.now: float = now
        self.open: bool = True
        self.jobs: dict[str, ModelJob] = {}
        self.gone: set[str] = set()
        self.starts: list[str] = []
        self.ended: list[ModelJob] = []

    # What can be asked.

    def in_status(self, status: JobStatus) -> list[ModelJob]:
        """The kept jobs of this status, oldest first."""
        return [job for job in self.jobs.values() if job.status is status]

    def holder(self, key: str | None) -> ModelJob | None:
        """The job that answers for *key*."""
        with_key = (job for job in self.jobs.values() if key and job.key == key)
        return next((job for job in with_key if job.kept or self._is_live(job)), None)

    def _is_live(self, job: ModelJob) -> bool:
        return job.status is P or (job.status is R and not job.reason)

    @property
    def full(self) -> bool:
        """Whether one more submission is refused."""
        return len(self.in_status(P)) >= self.settings.max_pending

    # What can happen.

    def submit(self, job: ModelJob) -> None:
        """*job* was accepted."""
        self.jobs[job.job_id] = job
        self._fill()

    def end(self, job: ModelJob, status: JobStatus, error_type: str | None) -> None:
        """The handler of *job* has let go, by itself unless it was told to stop."""
        if job.reason == "Shutdown" and self.requeues:
            self._give_back(job)
            return
        if job.reason is not None:
            status, error_type = STOPPED[job.reason], job.reason
        self._settle(job, status, error_type)
        self._fill()

    def cancel(self, job: ModelJob) -> bool:
        """What ``cancel`` should answer."""
        if job.status is P:
            job.cancel_requested = True
            self._settle(job, X, "Cancelled")
        elif job.status is R and job.reason is None:
            job.cancel_requested = True
            self._tell(job, "Cancelled")
        else:
            return job.status is R and job.reason == "Cancelled"
        return True

    def pass_time(self, until: float) -> None:
        """Time passes, from one event to the next."""
        self._run_until(until)
        self.now = max(self.now, until)
        self._expire()

    def close(self) -> None:
        """The queue drains and stops, as fast as its jobs let it."""
        self.open = False
        for job in () if self.durable else self.in_status(P):
            self._settle(job, X, "Shutdown")
        drained = self.now + self.settings.drain_timeout
        self._run_until(drained)
        if self.in_status(R):
            self.now = drained
        for job in self.in_status(R):
            if job.reason is None:
                self._tell(job, "Shutdown")
        self._run_until(math.inf)

    def reopen(self) -> None:
        """The queue was entered again."""
        self.open = True
        self._fill()

    # How it happens.

    def _run_until(self, until: float) -> None:
        while (moment := min(event := self._next_event(), due := self._next_due())) <= until:
            if moment == math.inf:
                break
            self.now = max(self.now, moment)
            if due <= event:
                self._fill()
            else:
                self._happen(min(self.in_status(R), key=ModelJob.next_event))

    def _next_event(self) -> float:
        return min(map(ModelJob.next_event, self.in_status(R)), default=math.inf)

    def _next_due(self) -> float:
        """When the delay of a job passes that can start then."""
        if not (self.open and self._has_room()):
            return math.inf
        delayed = [job for job in self.in_status(P) if job.due > self.now]
        free = [job for job in delayed if not (job.limited and self._limited_runs())]
        return min((job.due for job in free), default=math.inf)

    def _has_room(self) -> bool:
        return len(self.in_status(R)) < self.slots

    def _limited_runs(self) -> bool:
        return any(job.limited for job in self.in_status(R))

    def _happen(self, job: ModelJob) -> None:
        if job.reason is None:
            self._tell(job, "Timeout")
        else:
            self.end(job, F, None)

    def _tell(self, job: ModelJob, reason: str) -> None:
        job.reason = reason
        job.grace_end = self.now + self.settings.cancel_grace
        if not job.deaf:
            self.end(job, F, None)

    def _fill(self) -> None:
        while self.open and self._has_room() and (ready := self._ready()):
            job = min(ready, key=lambda job: job.due)  # of the same, the first submitted
            self._change(job, R)
            job.deadline = self.now + job.timeout
            self.starts.append(job.job_id)

    def _ready(self) -> list[ModelJob]:
        """What may start, oldest first."""
        due = [job for job in self.in_status(P) if job.due <= self.now or not self.waits]
        return [job for job in due if not (job.limited and self._limited_runs())]

    def _give_back(self, job: ModelJob) -> None:
        self._change(job, P)
        job.reason = job.progress = None
        job.deadline = job.grace_end = math.inf

    def _settle(self, job: ModelJob, status: JobStatus, error_type: str | None) -> None:
        self._change(job, status)
        job.error_type = error_type
        job.finished_at = self.now
        self.ended.append(job)
        self._expire()

    def _change(self, job: ModelJob, status: JobStatus) -> None:
        assert status in LEGAL[job.status], f"the model itself is wrong: {job} to {status}"
        job.status = status

    def _expire(self) -> None:
        young = [job for job in self.ended if job.finished_at + self.settings.result_ttl > self.now]
        kept = {job.job_id for job in young[-self.settings.max_results :]}
        for job in self.ended:
            if job.job_id not in kept and job.job_id in self.jobs:
                del self.jobs[job.job_id]
                self.gone.add(job.job_id)
