"""What several processes would share: a database of jobs, in the place of which there is a dict."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from stoat_jobs import JobNotFoundError, JobResult, JobStatus
from stoat_jobs.backends import (
    Clock,
    FrozenPayload,
    JobRun,
    KeptPayload,
    Outcome,
    as_datetime,
    transition,
)


class SharedJob:
    """One job; what runs it needs of it, and what its record says."""

    place = 0
    """In the order of submission, among the jobs of all queues."""

    def __init__(
        self,
        job_type: str,
        payload: FrozenPayload,
        timeout: float,
        key: str | None,
        metadata: Mapping[str, Any],
    ) -> None:
        self.job_id = str(uuid4())
        self.job_type = job_type
        self.payload = payload
        self.timeout = timeout
        self.key = key
        self.metadata = metadata
        self.variables = contextvars.copy_context()
        self.status = JobStatus.PENDING
        self.version = 0
        self.waiters: set[asyncio.Future[None]] = set()
        self.said: dict[str, Any] = {}
        """What the record says besides."""
        self.submitted = self.started = self.finished = 0.0
        self.shift = 0.0
        """The clock's at the start, in which the job ends: its times are as far apart as it took."""

    def record(self) -> JobResult[Any]:
        """As callers see it."""
        kept = isinstance(self.payload, KeptPayload)
        return JobResult(
            job_id=self.job_id,
            job_type=self.job_type,
            status=self.status,
            submitted_at=cast(datetime, as_datetime(self.submitted)),
            started_at=as_datetime(self.started or None),
            finished_at=as_datetime(self.finished or None),
            metadata=dict(self.metadata),
            key=self.key,
            payload=cast(KeptPayload, self.payload).plain() if kept else None,
            **self.said,
        )

    def change(self, **said: Any) -> None:
        """Let the record say this, and those who wait for a change look again."""
        self.said.update(said)
        self.version += 1
        for waiter in tuple(self.waiters):
            wake(waiter)

    def drop_live_fields(self) -> None:
        """Let go of what only a live job needs."""
        text = self.payload.text if isinstance(self.payload, KeptPayload) else None
        self.payload = FrozenPayload({}, b"") if text is None else KeptPayload({}, text)
        self.variables = contextvars.Context()

    @property
    def duration(self) -> float | None:
        """Seconds from start to finish; None where there was no start."""
        return self.finished - self.started if self.started else None


def wake(waiter: asyncio.Future[None]) -> None:
    """Let who awaits it go on, if the loop is still there in which that is."""
    with suppress(RuntimeError):
        if not waiter.done():
            waiter.set_result(None)


class Engine:
    """All jobs of all queues, and which of them wait, oldest first."""

    def __init__(self) -> None:
        self.queues: list[Any] = []
        self.clock = Clock()
        self.jobs: dict[str, SharedJob] = {}
        self.waiting: dict[str, SharedJob] = {}
        self._keys: dict[tuple[str, str], SharedJob] = {}
        self._finished: dict[str, SharedJob] = {}
        self._last_place = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on with the time of *loop*."""
        if loop is not self._loop:
            self._loop = loop
            self.clock.attach(loop)

    # Jobs.

    def add(self, job: SharedJob) -> None:
        """Keep a new job, which waits, and holds its key."""
        job.submitted = self.clock.stamp()
        self._last_place += 1
        job.place = self._last_place
        self.jobs[job.job_id] = self.waiting[job.job_id] = job
        if job.key is not None:
            self._keys[job.job_type, job.key] = job

    def holder(self, job_type: str, key: str | None) -> SharedJob | None:
        """The job that holds this key."""
        return None if key is None else self._keys.get((job_type, key))

    def release_key(self, job: SharedJob) -> None:
        """Let another job have the key of *job*."""
        if self.holder(job.job_type, job.key) is job:
            del self._keys[job.job_type, job.key or ""]

    def take(self) -> SharedJob:
        """The oldest job that waits, which is started."""
        job = self.waiting.pop(next(iter(self.waiting)))
        transition(job, JobStatus.RUNNING)
        job.started, job.shift = self.clock.stamp(), self.clock.shift
        job.change()
        return job

    def run_of(self, job_id: str) -> JobRun[SharedJob] | None:
        """The run of a job, in whichever queue it is."""
        runs = (queue.running.get(job_id) for queue in self.queues)
        return next(filter(None, runs), None)

    def finish(self, job: SharedJob, outcome: Outcome) -> None:
        """The job ended; let go of what only a live one needs."""
        transition(job, outcome.status)
        job.finished = self.clock.age() + job.shift if job.started else self.clock.stamp()
        job.shift = job.finished - self.clock.age()
        job.drop_live_fields()
        if outcome.refused and job.said.get("progress") == 1.0:
            job.said["progress"] = None  # a failed job is not done
        self.release_key(job)
        self._finished[job.job_id] = job
        said = {"result": outcome.result, "error": outcome.error}
        job.change(**said, error_type=outcome.error_type)

    def fill(self) -> None:
        """Let whoever has a slot free take what waits."""
        for queue in self.queues:
            queue.fill()

    # Reading.

    def get(self, job_id: str) -> SharedJob:
        """The job with this id; raises JobNotFoundError."""
        try:
            return self.jobs[job_id]
        except Exception:  # what is no text may raise anything when it is looked up
            raise JobNotFoundError(job_id) from None

    def before(self, place: int | None) -> Iterable[SharedJob]:
        """The jobs that were submitted before this place, newest first."""
        jobs = reversed(tuple(self.jobs.values()))
        return (job for job in jobs if place is None or job.place < place)

    def counts(self) -> dict[JobStatus, int]:
        """How many jobs have each status."""
        counted = Counter(job.status for job in self.jobs.values())
        return {status: counted[status] for status in JobStatus}

    # Forgetting.

    def too_old(self, result_ttl: float) -> SharedJob | None:
        """The record that is kept longest, if it is too old."""
        oldest = next(iter(self._finished.values()), None)
        if oldest is None or self.clock.age() - (oldest.finished - oldest.shift) < result_ttl:
            return None
        return oldest

    def too_many(self, max_results: int) -> SharedJob | None:
        """The record that is kept longest, if there are too many."""
        kept = self._finished
        return next(iter(kept.values())) if len(kept) > max_results else None

    def forget(self, job: SharedJob) -> None:
        """Keep the record of *job* no longer."""
        del self.jobs[job.job_id], self._finished[job.job_id]
