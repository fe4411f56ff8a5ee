"""Queues that share an engine, as those in several processes share a database.

They prove that the promises of ``cross_process`` can be kept with what ``stoat_jobs`` and
``stoat_jobs.backends`` offer: nothing private is used here, nor in the engine, the slots and what
accepts jobs.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self

from stoat_jobs import (
    JobHandlers,
    JobPage,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueStartedError,
    QueueStats,
)
from stoat_jobs.backends import (
    Capabilities,
    JobFilter,
    StopReason,
    checked_limit,
    cursor_at,
    log_event,
    never_started,
    place_of,
    type_stats,
)

from .shared_engine import Engine, SharedJob, wake
from .shared_submits import Life, SharedSubmits

Statuses = JobStatus | str | Iterable[JobStatus | str]


class SharedJobQueue(SharedSubmits):
    """One of the queues."""

    capabilities = Capabilities(durable=True, cross_process=True)

    def __init__(
        self,
        handlers: JobHandlers,
        settings: JobQueueSettings,
        observers: Iterable[Any],
        *,
        engine: Engine,
    ) -> None:
        super().__init__(settings, handlers, observers)
        self.app: Any = None
        self._engine = engine
        self._waiters: set[asyncio.Future[None]] = set()
        engine.queues.append(self)

    @property
    def started(self) -> bool:
        return self._life is Life.STARTED

    # Stopping jobs, and forgetting them.

    async def cancel(self, job_id: str) -> bool:
        job = self.find(job_id)
        if job.status.is_terminal:
            return False
        self.check_loop("cancel")
        return self._stop(job)

    async def cancel_all(
        self,
        *,
        status: Statuses | None = None,
        job_type: str | Iterable[str] | None = None,
        metadata: Mapping[str, str | bool | int | float] | None = None,
    ) -> int:
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        self.check_loop("cancel_all")
        # What waits comes first: else it would start when what runs has stopped.
        jobs = [*self._engine.waiting.values(), *self._engine.before(None)]
        live = dict.fromkeys(job for job in jobs if not job.status.is_terminal)
        return sum(self._stop(job) for job in live if wanted.matches(job))

    def _stop(self, job: SharedJob) -> bool:
        """Tell a live job to stop; whether it ends as cancelled."""
        if run := self._engine.run_of(job.job_id):
            return run.stop(StopReason.CANCEL)
        if self._life is Life.CLOSED:
            raise QueueClosedError
        del self._engine.waiting[job.job_id]
        job.change(cancel_requested=True)
        self._end(job, never_started(StopReason.CANCEL))
        return True

    async def delete(self, job_id: str) -> bool:
        job = self.find(job_id)
        self.check_loop("delete")
        if job.status.is_terminal:
            self.remove(job, "deleted")
            log_event(logging.INFO, "job_deleted", job_id=job.job_id, job_type=job.job_type)
        return job.status.is_terminal

    # Reading.

    async def get_status(self, job_id: str) -> JobStatus:
        return (await self._let_others_run(job_id)).status

    async def get_result(self, job_id: str) -> JobResult[Any]:
        return (await self._let_others_run(job_id)).record()

    async def _let_others_run(self, job_id: str) -> SharedJob:
        job = self.find(job_id)
        if not job.status.is_terminal:
            await asyncio.sleep(0)
        return job

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        job = self.find_to_wait(job_id, "wait")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
        time = asyncio.get_running_loop().time
        deadline = math.inf if timeout is None else time() + timeout
        while not job.status.is_terminal:
            if time() >= deadline:
                raise TimeoutError(f"job {job_id} is {job.status} after {timeout:g} s")
            await self.change_of(job, deadline)
        return job.record()

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        return SharedWatch(self, job_id)

    async def change_of(self, job: SharedJob, deadline: float = math.inf) -> None:
        """Wait for the next change of *job*, at most until *deadline*, while the queue is open."""
        if self._life is Life.CLOSED:
            raise QueueClosedError
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        alarm = None if deadline == math.inf else loop.call_at(deadline, wake, waiter)
        job.waiters.add(waiter)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            job.waiters.discard(waiter)
            self._waiters.discard(waiter)
            if alarm is not None:
                alarm.cancel()

    async def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: str | Iterable[str] | None = None,
        metadata: Mapping[str, str | bool | int | float] | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        limit = checked_limit(limit)
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        place = None if before is None else place_of(before)
        self.expire()
        found = [job for job in self._engine.before(place) if wanted.matches(job)]
        shown, more = found[:limit], len(found) > limit
        if not shown:
            return JobPage([], before if more else None)
        cursor = cursor_at(shown[-1].place) if more else None
        return JobPage((job.record() for job in shown), cursor)

    async def stats(self) -> QueueStats:
        self.expire()
        return QueueStats(
            by_status=self._engine.counts(),
            by_type=type_stats(job.record() for job in self._engine.jobs.values()),
            abandoned=self.left.count(),
            slots_in_use=len(self.running),
            concurrency=self.settings.concurrency,
        )

    def find_to_wait(self, job_id: str, method: str) -> SharedJob:
        """The job, if it may be waited for here."""
        job = self.find(job_id)
        if not job.status.is_terminal:
            self.check_loop(method)
        return job

    # The queue's own life.

    async def __aenter__(self) -> Self:
        if self._life in (Life.STARTED, Life.CLOSING):
            raise QueueStartedError(self.name)
        self.attach(asyncio.get_running_loop())
        self.takes_jobs = True
        self._life = Life.STARTED
        self._log("worker_started")
        self._engine.fill()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._life is not Life.STARTED:
            return
        self._life = Life.CLOSING
        self._log("queue_draining")
        try:
            await self.drain()
        finally:
            self.abandon_all()
            self._life = Life.CLOSED
            for waiter in tuple(self._waiters):
                wake(waiter)
            self._log("worker_stopped")

    def _log(self, event: str) -> None:
        counts = {"pending": len(self._engine.waiting), "running": len(self.running)}
        concurrency = self.settings.concurrency
        log_event(logging.INFO, event, backend=self.name, concurrency=concurrency, **counts)


class SharedWatch(AsyncIterator["JobResult[Any]"]):
    """The records of one job as they change, until its end or that of the queue."""

    def __init__(self, queue: SharedJobQueue, job_id: str) -> None:
        self._queue = queue
        self._job_id = job_id
        self._job: SharedJob | None = None
        self._seen = -1
        self._over = False

    async def __anext__(self) -> JobResult[Any]:
        if self._over:
            raise StopAsyncIteration
        job = self._job = self._job or self._queue.find_to_wait(self._job_id, "watch")
        while self._seen == job.version:
            await self._queue.change_of(job)
        self._seen = job.version
        self._over = job.status.is_terminal
        return job.record()
