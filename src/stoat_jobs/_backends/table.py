"""The records of an in-process queue: who is in which state, who waits to hear, who goes.

- State first, then notice: a waiter that wakes reads the state that woke it.
- A waiter is registered only while it waits, so that one that walked away leaves nothing.
- Finished records go by age and number, counted from their finish. Live ones never go.
- A job starts in the wall clock's time. From there it ends in its own: its times are as far
  apart as it took, also where the wall clock is set forwards in between.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from .._jobs.job_types import JobType
from .._model.errors import JobNotFoundError, QueueClosedError
from .._model.records import JobResult, unchecked_record
from .._model.status import JobStatus, transition
from .._payload.form import FrozenPayload
from .._run.calls import call_later, wake
from .._run.clock import Clock, as_datetime
from .._run.outcome import Outcome

# Seconds; a float so far from the epoch is no finer.
_RESOLUTION = 1e-6

# Looking a member up in its enum costs as much as a call.
_PENDING, _RUNNING = JobStatus.PENDING, JobStatus.RUNNING

# What finished jobs share in the place of their own.
_NO_CONTEXT = contextvars.Context()
_NO_PAYLOAD = FrozenPayload({}, b"")


class Job:
    """One job as the queue keeps it; callers are given :class:`JobResult` instead.

    ``shift``, from its start on, is the clock's in which it ends.
    """

    __slots__ = (
        "__weakref__",
        "attempt",
        "cancel_requested",
        "context",
        "error",
        "error_type",
        "finished",
        "forsaken",
        "handler",
        "job_id",
        "job_type",
        "key",
        "message",
        "metadata",
        "payload",
        "progress",
        "result",
        "shift",
        "started",
        "status",
        "submitted",
        "timeout",
        "version",
        "waiters",
    )
    shift: float

    def __init__(
        self,
        job_id: str,
        handler: JobType[..., Any],
        payload: FrozenPayload,
        timeout: float,
        key: str | None,
        metadata: Mapping[str, str],
        submitted: float,
        context: contextvars.Context,
    ) -> None:
        self.job_id = job_id
        self.job_type = handler.name
        self.handler: Any = handler  # None in a finished job
        self.payload = payload
        self.timeout = timeout
        self.key = key
        self.metadata = metadata
        self.context = context
        self.status = _PENDING
        self.result: Any = None
        self.error: str | None = None
        self.error_type: str | None = None
        self.progress: float | None = None
        self.message: str | None = None
        self.attempt = 0
        self.submitted = submitted
        self.started: float | None = None
        self.finished: float | None = None
        self.cancel_requested = False
        self.forsaken = False
        self.version = 0
        self.waiters: dict[asyncio.Future[None], None] | None = None

    def record(self) -> JobResult[Any]:
        """The job as it is now, as callers see it."""
        return unchecked_record(
            {
                "job_id": self.job_id,
                "job_type": self.job_type,
                "status": self.status,
                "result": self.result,
                "error": self.error,
                "error_type": self.error_type,
                "progress": self.progress,
                "message": self.message,
                "attempt": self.attempt,
                "submitted_at": as_datetime(self.submitted),
                "started_at": as_datetime(self.started),
                "finished_at": as_datetime(self.finished),
                "cancel_requested": self.cancel_requested,
                "metadata": dict(self.metadata) if self.metadata else {},
            }
        )

    @property
    def duration(self) -> float | None:
        """Seconds from start to finish; None where there was no start."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started

    def changed(self) -> None:
        """Tell those who wait for a change, after it was made."""
        self.version += 1
        if self.waiters is not None:
            self.wake_waiters()

    def forsake(self) -> None:
        """Tell those who wait for a change that it will not come here: the queue is closed."""
        self.forsaken = True
        self.wake_waiters()

    def wake_waiters(self) -> None:
        """Let those who wait for a change look again."""
        for waiter in self.waiters or ():
            wake(waiter)
        self.waiters = None  # last: after a Ctrl-C in between, all are woken again

    async def change(self, deadline: float = math.inf) -> None:
        """Wait for the next change, at most until *deadline* on the loop's clock.

        Not by ``asyncio.wait_for``: before Python 3.12 it can lose a cancel that comes in
        the same round as the change.

        Raises:
            QueueClosedError: the job goes on, but not on this queue.
        """
        self._check_here()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        alarm = None if deadline == math.inf else loop.call_at(deadline, wake, waiter)
        if self.waiters is None:
            self.waiters = {}
        self.waiters[waiter] = None
        try:
            await waiter
        finally:
            if alarm is not None:
                alarm.cancel()
            if self.waiters is not None:
                self.waiters.pop(waiter, None)
        self._check_here()

    def _check_here(self) -> None:
        if self.forsaken:
            raise QueueClosedError


class JobTable:
    """All jobs that a queue knows."""

    def __init__(self, clock: Clock, result_ttl: float, max_results: int) -> None:
        self._clock = clock
        self._result_ttl = result_ttl
        self._max_results = max_results
        self._jobs: dict[str, Job] = {}
        self._finished: deque[Job] = deque()  # in the order of finishing
        self._keys: dict[tuple[str, str], Job] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None

    def add(self, job: Job) -> None:
        """Know *job*, and let it hold its key."""
        self._jobs[job.job_id] = job
        if job.key is not None:
            self._keys[job.job_type, job.key] = job

    def get(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        if self._timer is None:
            self.expire()
        try:
            return self._jobs[job_id]
        except Exception:  # what is no text may raise anything when it is looked up
            raise JobNotFoundError(job_id) from None

    def holder(self, job_type: str, key: str) -> Job | None:
        """The job that holds this key."""
        return self._keys.get((job_type, key))

    def release_key(self, job: Job) -> None:
        """Let another job have the key of *job*."""
        if job.key is not None and self._keys.get((job.job_type, job.key)) is job:
            del self._keys[job.job_type, job.key]

    def start(self, job: Job) -> None:
        """*job* got a slot."""
        transition(job, _RUNNING)
        started = self._clock.stamp()
        job.shift = self._clock.shift
        job.started = started
        job.changed()

    def finish(self, job: Job, outcome: Outcome) -> None:
        """*job* ended; the oldest finished records go if there are too many."""
        self._settle(job, outcome)
        if job.key is not None:
            self.release_key(job)
        self._finished.append(job)
        if len(self._finished) > self._max_results:
            self._drop_oldest()
        job.changed()
        if self._timer is None:
            self._expire_later()

    def _trim(self) -> None:
        while len(self._finished) > self._max_results:
            self._drop_oldest()

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """Finish *job*, and let go of what only a live one needs."""
        transition(job, outcome.status)
        if job.started is None:
            self._shift_to_now(job)
        job.finished = self._clock.age() + job.shift
        job.result = outcome.result
        if outcome.refused and job.progress == 1.0:
            job.progress = None  # a failed job is not done
        job.error = outcome.error
        job.error_type = outcome.error_type
        job.handler = None
        job.payload = _NO_PAYLOAD
        job.context = _NO_CONTEXT

    def _shift_to_now(self, job: Job) -> None:
        self._clock.stamp()
        job.shift = self._clock.shift

    def live(self) -> list[Job]:
        """The jobs that have not ended, oldest first."""
        return [job for job in self._jobs.values() if not job.status.is_terminal]

    def repair(self) -> None:
        """Complete what a Ctrl-C has cut short in :meth:`finish`."""
        ended = [job for job in self._jobs.values() if job.status.is_terminal]
        for job in ended:
            if job.finished is None:
                if job.started is None:
                    self._shift_to_now(job)
                job.finished = self._clock.age() + job.shift
            self.release_key(job)
            job.wake_waiters()
        if len(ended) != len(self._finished):
            self._finished = deque(sorted(ended, key=_finished_at))
            self._trim()

    def expire(self) -> None:
        """Drop the finished records that are too old."""
        while self._finished and self._oldest_has() <= _RESOLUTION:
            self._drop_oldest()

    def expire_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Drop records on time by timers on *loop*; on access alone where that is None."""
        self._loop = loop
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._expire_later()

    def _expire_later(self) -> None:
        if self._loop is None or self._timer is not None or not self._finished:
            return
        seconds = self._oldest_has()
        if seconds != math.inf:
            self._timer = call_later(self._loop, max(seconds, 0.0), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self.expire()
        finally:
            self._expire_later()

    def _oldest_has(self) -> float:
        """Seconds that the oldest finished record may stay."""
        oldest = self._finished[0]
        finished = (oldest.finished or 0.0) - oldest.shift
        return finished + self._result_ttl - self._clock.age()

    def _drop_oldest(self) -> str:
        job_id = self._finished.popleft().job_id
        del self._jobs[job_id]
        return job_id

    def newest_first(self) -> Iterator[Job]:
        """All kept jobs."""
        self.expire()
        return reversed(self._jobs.values())

    def counts(self) -> dict[JobStatus, int]:
        """Kept jobs by status, counted from the states themselves."""
        self.expire()
        counted = Counter(job.status for job in self._jobs.values())
        return {status: counted[status] for status in JobStatus}


def _finished_at(job: Job) -> float:
    return job.finished or 0.0
