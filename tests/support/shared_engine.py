"""What several processes would share: a database of jobs, in the place of which there is a dict."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from typing import Any, cast
from uuid import uuid4

from stoat_jobs import JobNotFoundError, JobResult, JobStatus, KeyConflictError
from stoat_jobs.backends import (
    Clock,
    FrozenPayload,
    JobRun,
    KeptPayload,
    Outcome,
    Submission,
    as_datetime,
    transition,
    variables_of,
)

IN_ORDER = attrgetter("due", "place")
"""In which jobs start."""


class SharedJob:
    """One job; what runs it needs of it, and what its record says."""

    place = 0
    """In the order of submission, among the jobs of all queues."""

    def __init__(self, new: Submission) -> None:
        self.job_id = str(uuid4())
        self.job_type = new.definition.name
        self.payload = new.payload
        self.timeout = new.timeout
        self.delay = new.delay
        self.metadata = new.metadata
        self.key = new.key
        self.keeps_key = new.is_kept
        self.digest = new.digest
        self.variables = contextvars.copy_context()
        self.status = JobStatus.PENDING
        self.version = 0
        self.waiters: set[asyncio.Future[None]] = set()
        self.said: dict[str, Any] = {}
        """What the record says besides."""
        self.submitted = self.started = self.finished = 0.0
        self.shift = 0.0
        """The clock's at the submission and then at the start, in which the job ends: its times are
        as far apart as it took."""

    def record(self) -> JobResult[Any]:
        """As callers see it."""
        return JobResult(
            job_id=self.job_id,
            job_type=self.job_type,
            status=self.status,
            submitted_at=cast(datetime, as_datetime(self.submitted)),
            started_at=as_datetime(self.started or None),
            finished_at=as_datetime(self.finished or None),
            metadata=dict(self.metadata),
            key=self.key,
            not_before=as_datetime(self.not_before) if self.delay else None,
            payload=self.payload.on_record(),
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
        kept = isinstance(self.payload, KeptPayload)
        self.payload = KeptPayload({}, self.payload.text) if kept else FrozenPayload({}, b"")
        self.variables = contextvars.Context()

    @property
    def not_before(self) -> float:
        """When it may start."""
        return self.submitted + self.delay

    @property
    def due(self) -> float:
        """The same as an age of the clock, which no step of the wall clock changes."""
        return self.not_before - self.shift

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
        job.submitted, job.shift = self.clock.stamp(), self.clock.shift
        self._last_place += 1
        job.place = self._last_place
        self.jobs[job.job_id] = self.waiting[job.job_id] = job
        if job.key is not None:
            self._keys[job.job_type, job.key] = job

    def holder(self, new: Submission) -> SharedJob | None:
        """The job that holds the key of *new*; raises KeyConflictError."""
        found = self._keys.get((new.definition.name, new.key or ""))
        if found is not None and new.is_kept:
            if found.digest != new.digest:
                raise KeyConflictError(new.key or "", found.job_id)
            found.keeps_key = True
        return found

    def release_key(self, job: SharedJob) -> None:
        """Let another job have the key of *job*, unless it is kept."""
        if not job.keeps_key:
            self._drop_key(job)

    def _drop_key(self, job: SharedJob) -> None:
        if self._keys.get((job.job_type, job.key or "")) is job:
            del self._keys[job.job_type, job.key or ""]

    def take(self, full_types: set[str], now: float) -> SharedJob | None:
        """The job of another type that has been due longest *now*, which is started."""
        jobs = (job for job in self.waiting.values() if job.job_type not in full_types)
        job = min((job for job in jobs if job.due <= now), key=IN_ORDER, default=None)
        if job is None:
            return None
        del self.waiting[job.job_id]
        transition(job, JobStatus.RUNNING)
        job.started, job.shift = self.clock.stamp(), self.clock.shift
        job.change()
        return job

    def types(self) -> set[str]:
        """The job types of what waits."""
        return {job.job_type for job in self.waiting.values()}

    def next_due(self, now: float) -> float:
        """When the next delayed job is due, as an age of the clock; ``inf`` if none is."""
        return min((job.due for job in self.waiting.values() if job.due > now), default=math.inf)

    def lose(self, job: SharedJob) -> None:
        """Take *job* from the queue that runs it, as if that had not been heard of for long."""
        run = self.run_of(job.job_id)
        transition(job, JobStatus.PENDING)
        job.variables = variables_of(job.job_id)  # those of the submitter are in use
        self.waiting[job.job_id] = job
        if run is not None:
            run.drop()
        self.fill()

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
        job.said["progress"] = outcome.last_progress(job.said.get("progress"))
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
        self._drop_key(job)
