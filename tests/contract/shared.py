"""Queues that share an engine, as those in several processes share a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Self, TypeVar, cast

from stoat_jobs import (
    AsyncioJobQueue,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueNotStartedError,
)
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.phase import Phase
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._jobs.job_types import JobType
from stoat_jobs._payload.form import FrozenPayload
from stoat_jobs._run.outcome import failed
from stoat_jobs.backends import Capabilities

T = TypeVar("T")


class Engine:
    """What the queues have in common: all records, and what waits."""

    def __init__(self) -> None:
        self.queues: list[SharedJobQueue] = []

    def add(self, queue: SharedJobQueue) -> None:
        """Let *queue* have what the first one brought."""
        if self.queues:
            queue.share(self.queues[0])
        self.queues.append(queue)

    def fill(self) -> None:
        """Let whoever has a slot free take what waits."""
        for queue in self.queues:
            queue.slots.fill()

    def slots_of(self, job_id: str) -> Scheduler | None:
        """The slots that run this job."""
        running = (queue.slots for queue in self.queues if job_id in queue.slots.running)
        return next(running, None)


class SharedSlots(Scheduler):
    """Slots of one queue, which take what waits for all of them."""

    engine: Engine

    def put(self, job: Job) -> None:
        self.pending.put(job)
        self.engine.fill()

    def _start(self, job: Job) -> None:
        try:
            handler = self.queue.handlers.get(job.job_type)
            job.payload = FrozenPayload(handler.form.thaw(job.payload.text), job.payload.text)
        except Exception as error:
            self._index.start(job)
            self.finish(job, failed(error))
            return
        job.definition = handler
        super()._start(job)

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value)

    def _stop_all_pending(self) -> None:
        """They wait for another queue."""

    _finish_lost = _stop_all_pending


class SharedJobQueue(AsyncioJobQueue):
    """One of the queues."""

    name = "shared"
    scheduler_type = SharedSlots
    capabilities = Capabilities(durable=True, cross_process=True)
    _scheduler: SharedSlots

    def __init__(self, *args: Any, engine: Engine) -> None:
        super().__init__(*args)
        self._engine = engine
        self._scheduler.engine = engine
        self._asking: set[asyncio.Future[Any]] = set()
        engine.add(self)

    @property
    def slots(self) -> Scheduler:
        return self._scheduler

    def share(self, other: SharedJobQueue) -> None:
        """Have the table of *other*, and its jobs that wait."""
        self._index = self._scheduler._index = other._index
        self._scheduler.pending = other._scheduler.pending

    async def cancel(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        self._check_loop("cancel", job)
        if self._scheduler.phase is Phase.CLOSED and job.status is JobStatus.PENDING:
            raise QueueClosedError
        return (self._engine.slots_of(job_id) or self._scheduler).cancel(job)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        self._check_loop("wait", self._index.get(job_id))
        return await self.unless_closed(super().wait(job_id, timeout))

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        return SharedWatch(self, super().watch(job_id))

    async def unless_closed(self, answer: Awaitable[T]) -> T:
        """*answer*, if it comes while the queue is open or can be given at once."""
        asking = asyncio.ensure_future(answer)
        self._asking.add(asking)
        try:
            await asyncio.sleep(0)
            if self._scheduler.phase is Phase.CLOSED:
                asking.cancel()
            await asyncio.wait([asking])
            if asking.cancelled():
                raise QueueClosedError
            return asking.result()
        finally:
            self._asking.discard(asking)
            asking.cancel()

    def _check_open(self) -> None:
        if self._scheduler.phase is Phase.NEW:
            raise QueueNotStartedError(self.name)
        super()._check_open()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._engine.fill()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await super().__aexit__(*cast(Any, exc_info))
            await asyncio.sleep(0)  # those who were told of an end hear it
        finally:
            for asking in tuple(self._asking):
                asking.cancel()

    def _shut(self) -> None:
        super()._shut()
        if others := [queue for queue in self._engine.queues if queue.started]:
            others[0]._index.retention.expire_on(self._loop)


class SharedWatch(AsyncIterator["JobResult[Any]"]):
    """A watch that ends with its queue."""

    def __init__(self, queue: SharedJobQueue, watch: AsyncIterator[JobResult[Any]]) -> None:
        self._queue = queue
        self._watch = watch

    async def __anext__(self) -> JobResult[Any]:
        return await self._queue.unless_closed(self._watch.__anext__())
