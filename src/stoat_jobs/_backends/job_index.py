"""The jobs that a queue knows, and every change of their status.

No two jobs have the same time of submission: it is their place in the order of the list. Where the
clock stands still, the later one has the next float, and does not start or finish before it.

A job starts by the wall clock. Its finish is stamped without looking there again, so that its
times are as far apart as it took, also if the wall clock is set forwards meanwhile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from math import inf, nextafter
from operator import attrgetter
from typing import Any, cast

from .._events.observers import Observers
from .._jobs.protocols import Unique
from .._model.errors import InvalidTransitionError, JobNotFoundError, KeyConflictError
from .._model.events import RemovalReason, RemovedEvent
from .._model.status import COMPLETED, RUNNING, TERMINAL, JobStatus, transition
from .._payload.digest import digest_of
from .._run.clock import Clock
from .._run.outcome import Outcome
from .job import Job
from .keys import Keys
from .retention import Retention


class JobIndex:
    """All jobs that a queue knows: live ones, and finished ones as long as they are kept.

    Attributes:
        last_submitted: when the newest job was submitted.
    """

    def __init__(
        self, clock: Clock, result_ttl: float, max_results: int, observers: Observers
    ) -> None:
        self._clock = clock
        self._observers = observers
        self._jobs: dict[str, Job] = {}
        self.last_submitted = 0.0
        self._delay = 0.0
        self.keys: Keys = Keys()
        self.retention: Retention = Retention(clock, result_ttl, max_results, self._remove)

    def next_submitted(self, stamp: float) -> float:
        """*stamp*, or the next float after the last one: the time of a submission."""
        self.last_submitted = max(stamp, nextafter(self.last_submitted, inf))
        return self.last_submitted

    def shared(self, delay: float) -> float:
        """The same *delay*, and the same object for jobs in a row: each would take 24 bytes."""
        if delay != self._delay:
            self._delay = delay
        return self._delay

    def add(self, job: Job, digest: str = "") -> None:
        """Register *job*, and let it hold its key; *digest* is that of :meth:`Keys.hold`."""
        self._jobs[job.job_id] = job
        if job.key is not None:
            self.keys.hold(job, digest)

    def add_all(self, jobs: list[Job]) -> None:
        """Register *jobs*, which have no keys; all of them or, after a Ctrl-C, none."""
        self._jobs.update([(job.job_id, job) for job in jobs])

    def holder(self, job_type: str, key: str, digest: str = "") -> Job | None:
        """The job that holds this key; with *digest*, it is held as long as its record is kept.

        Raises:
            KeyConflictError: *digest* is not that of its payload.
        """
        if self.retention.timer is None:
            self.retention.expire()
        job = self.keys.holder(job_type, key)
        if job is not None and digest:
            if (self.keys.digest_of(job) or digest_of(job.payload)) != digest:
                raise KeyConflictError(key, job.job_id)
            if not self.keys.digest_of(job):
                self.keep_key(job, digest)
        return job

    def keep_key(self, job: Job, digest: str) -> None:
        """From now on *job*, which holds its key, holds it as long as its record is kept."""
        self.keys.hold(job, digest)

    @contextmanager
    def passing_key_on(self, job: Job) -> Iterator[Unique]:
        """Let the job that is submitted meanwhile have the key of *job*, if that is kept.

        If there is none in the end, *job* has it again.
        """
        digest = self.keys.drop(job)
        try:
            yield "kept" if digest else "live"
        finally:
            key = cast(str, job.key)
            is_kept = digest and job.job_id in self._jobs
            if is_kept and self.keys.holder(job.job_type, key) is None:
                self.keys.hold(job, digest)

    def get(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        if self.retention.timer is None:
            self.retention.expire()
        try:
            return self._jobs[job_id]
        except Exception:  # what is not text may raise anything when it is looked up
            raise JobNotFoundError(job_id) from None

    def start(self, job: Job) -> None:
        """*job* got a slot."""
        transition(job, RUNNING)
        started = self._clock.stamp()
        job.shift = self._clock.shift
        if started < job.submitted:
            job.shift += job.submitted - started
            started = job.submitted
        job.started = started
        if job.changes is not None:
            job.changed()

    def complete(self, job: Job, result: Any, now: float) -> None:
        """As :meth:`finish`, *now*, for a job that ran and has nothing but a result to write."""
        job.finished = self._clock.base + now + job.shift
        job.result = result
        transition(job, COMPLETED)
        job.drop_live_fields()
        self._retain(job)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """*job* finished; the oldest finished jobs go if there are too many."""
        self._write(job, outcome)
        self._retain(job)

    def _retain(self, job: Job) -> None:
        if job.key is not None:
            self.keys.release(job)
        if job.waiters is not None or job.changes is not None:
            job.changed()
        self.retention.add(job)

    def _write(self, job: Job, outcome: Outcome) -> None:
        """Make *outcome* that of *job*, and drop what only a live one needs."""
        if job.status in TERMINAL:
            raise InvalidTransitionError(job.job_id, job.status, outcome.status)
        self._stamp_finish(job)
        job.result = outcome.result
        job.progress = outcome.last_progress(job.progress)
        job.error = outcome.error
        job.error_type = outcome.error_type
        # Last: a job that a Ctrl-C leaves half-written is live, and finishes with its queue.
        transition(job, outcome.status)
        job.drop_live_fields()

    def _stamp_finish(self, job: Job) -> None:
        if job.started is None:
            job.shift = max(self._clock.stamp(), job.submitted) - self._clock.age()
        job.finished = self._clock.age() + job.shift

    def live(self) -> list[Job]:
        """The jobs that have not finished, oldest first."""
        return [job for job in self._jobs.values() if not job.is_finished]

    def repair(self) -> None:
        """Complete what a Ctrl-C has cut short in :meth:`finish`."""
        finished = [job for job in self._jobs.values() if job.is_finished]
        for job in finished:
            job.drop_live_fields()
            self.keys.release(job)
            job.wake_waiters()
        if len(finished) != len(self.retention):
            self.retention.replace(sorted(finished, key=_finished_at))

    def delete(self, job: Job) -> None:
        """Keep *job*, which has finished, no longer."""
        self.retention.discard(job)
        self._remove(job, "deleted")

    def _remove(self, job: Job, reason: RemovalReason) -> None:
        self._forget(job)
        if self._observers.wants["removed"]():
            self._observers.tell("removed", RemovedEvent(job.record(), reason))

    def _forget(self, job: Job) -> None:
        del self._jobs[job.job_id]
        if job.key is not None:
            self.keys.drop(job)

    def newest(self, limit: int | None = None, before: int | None = None) -> list[Job]:
        """The newest kept jobs, newest first: at most *limit*, submitted before a place."""
        self.retention.expire()
        if before is None:
            return list(islice(reversed(self._jobs.values()), limit))
        jobs = list(self._jobs.values())
        end = bisect_left(jobs, before, key=attrgetter("place"))
        return jobs[:end][::-1][:limit]

    def kept(self) -> list[Job]:
        """The kept jobs, oldest first."""
        self.retention.expire()
        return list(self._jobs.values())

    def counts(self) -> dict[JobStatus, int]:
        """Kept jobs by status, counted from the states themselves."""
        self.retention.expire()
        counted = Counter(job.status for job in self._jobs.values())
        return {status: counted[status] for status in JobStatus}


def _finished_at(job: Job) -> float:
    return job.finished or 0.0
