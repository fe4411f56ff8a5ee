"""Queues that share an engine, as those in several processes share a database.

They prove that the promises of ``cross_process`` can be kept with what ``stoat_jobs`` and
``stoat_jobs.backends`` offer: nothing private is used here, nor in the engine and the slots.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Self

from stoat_jobs import (
    JobHandlers,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    QueueStartedError,
    QueueStats,
    SubmittedEvent,
    SubmittingEvent,
)
from stoat_jobs.backends import (
    Capabilities,
    StopReason,
    check_timeout,
    checked_job_type,
    checked_key,
    checked_limit,
    checked_metadata,
    checked_status,
    log_event,
    never_started,
)

from .shared_engine import Engine, SharedJob, wake
from .shared_slots import SharedSlots


class Life(Enum):
    """Where in its life a queue is."""

    NEW = auto()
    STARTED = auto()
    CLOSING = auto()
    CLOSED = auto()


class SharedJobQueue(SharedSlots):
    """One of the queues."""

    name = "shared"
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
        self._life = Life.NEW
        self._waiters: set[asyncio.Future[None]] = set()
        engine.queues.append(self)

    @property
    def started(self) -> bool:
        return self._life is Life.STARTED

    # Submitting.

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = MappingProxyType({}),
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        self._check_open()
        handler = self.handlers.get(job_type)
        frozen = handler.form.freeze(payload, self.settings)
        limit = handler.timeout if timeout is None else check_timeout(timeout)
        key = None if key is None else checked_key(key)
        most = self.settings.max_metadata_bytes
        pairs = checked_metadata(metadata, most)
        if holder := self._engine.holder(handler.name, key):
            return holder.job_id
        if len(self._engine.waiting) >= (self.settings.max_pending or math.inf):
            raise QueueFullError(self.settings.max_pending)
        seen = MappingProxyType(handler.form.thaw(frozen.text))
        pairs = self._observers.submitting(SubmittingEvent(handler.name, seen, pairs), most)
        limit = self.settings.timeout if limit is None else limit
        job = SharedJob(handler.name, frozen, limit, key, pairs)
        self._engine.add(job)
        self._observers.tell("submitted", SubmittedEvent(job.job_id, job.job_type, job.metadata))
        self._engine.fill()
        return job.job_id

    async def cancel(self, job_id: str) -> bool:
        job = self._find(job_id)
        if job.status.is_terminal:
            return False
        self._check_loop("cancel")
        if run := self._engine.run_of(job_id):
            return run.stop(StopReason.CANCEL)
        if self._life is Life.CLOSED:
            raise QueueClosedError
        del self._engine.waiting[job_id]
        job.change(cancel_requested=True)
        self._end(job, never_started(StopReason.CANCEL))
        return True

    # Reading.

    async def get_status(self, job_id: str) -> JobStatus:
        return (await self._let_others_run(job_id)).status

    async def get_result(self, job_id: str) -> JobResult[Any]:
        return (await self._let_others_run(job_id)).record()

    async def _let_others_run(self, job_id: str) -> SharedJob:
        job = self._find(job_id)
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
        self, *, status: JobStatus | None = None, job_type: str | None = None, limit: int = 100
    ) -> list[JobResult[Any]]:
        limit = checked_limit(limit)
        status, job_type = checked_status(status), checked_job_type(job_type)
        self._engine.expire(self.settings.result_ttl)
        matching = [
            job
            for job in reversed(self._engine.jobs.values())
            if status in (None, job.status) and job_type in (None, job.job_type)
        ]
        return [job.record() for job in matching[:limit]]

    async def stats(self) -> QueueStats:
        self._engine.expire(self.settings.result_ttl)
        return QueueStats(
            by_status=self._engine.counts(),
            abandoned=self.count_abandoned(),
            slots_in_use=len(self.running),
            concurrency=self.settings.concurrency,
        )

    def find_to_wait(self, job_id: str, method: str) -> SharedJob:
        """The job, if it may be waited for here."""
        job = self._find(job_id)
        if not job.status.is_terminal:
            self._check_loop(method)
        return job

    def _find(self, job_id: str) -> SharedJob:
        return self._engine.get(job_id, self.settings.result_ttl)

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

    def _check_open(self) -> None:
        if self._life is Life.NEW:
            raise QueueNotStartedError(self.name)
        if self._life is not Life.STARTED:
            raise QueueClosedError
        self._check_loop("submit")

    def _check_loop(self, method: str) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if self._life is Life.STARTED and loop is not self.loop:
            raise RuntimeError(
                f"{method}() was called outside the event loop that runs the queue: in a sync"
                f" handler use ctx.from_thread(ctx.queue.{method}, ...)"
            )


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
