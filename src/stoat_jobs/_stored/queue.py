"""Jobs that outlive their process: the `asyncio` queue, with a store behind it.

- What happens to a job is true, and told, when it is in the store.
- Each start of the queue reads the store. What waited, or ran in a process that is gone,
  runs again, in the order of submission.
- The event loop never waits for the store: a thread writes, another one reads.
- If the store fails, new jobs are refused. What it fails to keep of an accepted job is written
  again until that succeeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, TypeGuard, cast

from pydantic import BaseModel

from .._backends.asyncio_queue import AsyncioJobQueue
from .._backends.in_process_queue import NO_PAYLOAD, NoOptions
from .._backends.job import Job
from .._backends.job_index import JobIndex
from .._backends.phase import NEW, STARTING
from .._backends.scheduler import Scheduler
from .._backends.waiting import Watch, until_finished
from .._jobs.context import current_job_id
from .._jobs.handlers import JobHandlers
from .._jobs.protocols import JobTypes, MetadataFilter, Statuses, Unique
from .._model.capabilities import Capabilities
from .._model.errors import JobNotFoundError, QueueClosedError, QueueNotStartedError
from .._model.filters import JobFilter
from .._model.pages import JobPage
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._payload.frozen import FrozenPayload, KeptPayload
from .durable_job import DurableJob, durable
from .index import StoredIndex
from .open_store import OpenStore
from .pages import page_of
from .records import record_of
from .restoring import Restoring
from .scheduler import StoredScheduler
from .store import FinishedJob, JobStore

# Seconds that a store has to close.
_CLOSE_S = 0.5

_NO_PAYLOAD = FrozenPayload({}, b"{}")


class StoredJobQueue(AsyncioJobQueue, ABC):
    """Base of backends that keep their jobs outside the process, in a :class:`JobStore`.

    A subclass has a ``name``, which its errors and log lines say, and makes its store in
    :meth:`make_store`; everything else is here. Jobs run in this process, and only one process
    at a time has a store open. When the queue stops, pending jobs stay in the store, and so do
    those that the shutdown stops. When it starts, also after a ``kill -9``, they run, and so do
    those that were running: delivery is at-least-once, so make handlers idempotent. Results are
    JSON.
    """

    _index_type: ClassVar[type[JobIndex]] = StoredIndex
    _scheduler_type: ClassVar[type[Scheduler]] = StoredScheduler
    _new_job: ClassVar[type[Job]] = DurableJob
    _index: StoredIndex
    _scheduler: StoredScheduler

    options_type: ClassVar[type[BaseModel]] = NoOptions
    """The pydantic model of ``settings.options``; the default refuses any. Forbid extra fields
    in yours, or a misspelt option is ignored."""

    capabilities: Capabilities = Capabilities(durable=True, requeues_at_shutdown=True)
    """Without ``requeues_at_shutdown`` a job that the shutdown stops ends as ``cancelled``."""

    @property
    def lock_wait(self) -> float:
        """Seconds to wait at the start while another queue has the store open; 0 by default."""
        return 0.0

    max_deliveries: ClassVar[int] = 3
    """After so many starts that neither finished nor were stopped in order, a job is ``failed``
    with the error type ``WorkerLost`` instead of being run again: it probably kills its process."""

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        super().__init__(handlers, settings, observers)
        self._store = self.make_store()
        self._scheduler.requeues = self.capabilities.requeues_at_shutdown
        self._index.record_of = lambda stored: record_of(stored, self.handlers)

    @property
    def options(self) -> Any:
        """``settings.options``, checked: an :attr:`options_type`."""
        return self._options

    @abstractmethod
    def make_store(self) -> JobStore:
        """The store, as ``self.settings`` and ``self.options`` say, not yet open; called once.

        Raise ``BackendError`` for settings that cannot be right.
        """

    # New jobs.

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = NO_PAYLOAD,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Unique = "live",
        connection: Any = None,
    ) -> str:
        job, _ = self._accept(job_type, payload, timeout, key, metadata, delay, unique, connection)
        await self._until_written(job.job_id)
        return job.job_id

    async def submit_many(
        self,
        job_type: str,
        payloads: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        connection: Any = None,
    ) -> list[str]:
        jobs = await self._accept_many(job_type, payloads, timeout, metadata, delay, connection)
        if jobs:
            await self._until_written(jobs[0].job_id)
        return [job.job_id for job in jobs]

    async def _until_written(self, job_id: str) -> None:
        arrival = self._index.arriving.get(job_id)
        if arrival is not None:
            await arrival.wait()

    def _check_open(self) -> None:
        if self._scheduler.phase in (NEW, STARTING):
            raise QueueNotStartedError(self.name)
        super()._check_open()

    def _take_on(self, job: Job, digest: str) -> None:
        self._arrive([job], digest, partial(super()._take_on, job, digest))

    def _take_on_many(self, jobs: list[Job]) -> None:
        if jobs:
            self._arrive(jobs, "", partial(super()._take_on_many, jobs))

    def _arrive(self, jobs: list[Job], digest: str, take_on: Callable[[], None]) -> None:
        """Write *jobs*, which have their places among those that wait; then take them on."""
        pending = self._scheduler.pending
        places = [len(jobs)]

        def arrived(is_written: bool) -> None:
            if not places:
                return  # after a Ctrl-C it is told again
            pending.elsewhere -= places.pop()
            if is_written:
                jobs[0].variables.run(take_on)

        pending.elsewhere += len(jobs)
        self._index.arrive(list(map(durable, jobs)), digest, self.name, arrived)

    # Reading.

    async def get_result(self, job_id: str) -> JobResult[Any]:
        job = self._index.get(job_id)
        return await (self._read(job) if _is_entry(job) else super().get_result(job_id))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        job = self._find_to_wait(job_id, "wait")
        await until_finished(job, self._scheduler.loop, timeout)
        return await self._read(job) if _is_entry(job) else job.record()

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        return Watch(partial(self._find_to_wait, job_id, "watch"), self._read)

    async def _page(self, jobs: list[Job], wanted: JobFilter, limit: int) -> JobPage[Any]:
        return await page_of(jobs, wanted, limit, self._read_all)

    async def _read(self, entry: FinishedJob) -> JobResult[Any]:
        records = await self._read_all([entry])
        if not records:
            raise JobNotFoundError(entry.job_id)
        return records[entry.job_id]

    async def _read_all(self, entries: Sequence[FinishedJob]) -> dict[str, JobResult[Any]]:
        """The records of *entries* by their ids, without those that have gone meanwhile."""
        recent = self._index.recent
        ids = [entry.job_id for entry in entries]
        known = {job_id: recent[job_id]() for job_id in ids if job_id in recent}
        others = [job_id for job_id in ids if job_id not in known]
        if others:
            if self._index.store is None:
                raise QueueClosedError
            read = await self._index.store.read(others)
            known.update((stored.job_id, record_of(stored, self.handlers)) for stored in read)
        return known

    # What callers do with jobs.

    async def cancel(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        if isinstance(job, DurableJob) and job.left_in_store:
            raise QueueClosedError
        is_cancelled = await super().cancel(job_id)
        await self._until_attempted(job_id)
        return is_cancelled

    async def cancel_all(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
    ) -> int:
        count = await super().cancel_all(status=status, job_type=job_type, metadata=metadata)
        if self._index.store is not None:
            await self._index.store.writer.all_attempted()
        return count

    async def delete(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        if _is_entry(job) and self._observers.wants["removed"]():
            record = await self._read(job)
            self._index.recent[job_id] = lambda: record
        is_deleted = await super().delete(job_id)
        await self._until_attempted(job_id)
        return is_deleted

    async def _until_attempted(self, job_id: str) -> None:
        # A handler that cancels its own job would be interrupted while it waits here.
        if self._index.store is not None and current_job_id.get() != job_id:
            await self._index.store.writer.attempted(job_id)

    async def resubmit(self, job_id: str) -> str:
        entry = cast(Any, self._finished(job_id))
        if self._index.store is None:
            raise QueueClosedError
        found = await self._index.store.read([job_id])
        if not found:
            raise JobNotFoundError(job_id)
        (stored,) = found
        payload = KeptPayload({}, stored.payload.encode()) if stored.payload else _NO_PAYLOAD
        record = stored.record
        again = await self._repeat(entry, payload, stored.timeout, record.key, record.metadata)
        if entry.digest:
            self._index.hand_key_on(entry, stored)
        return again

    # The queue's own life.

    async def _open(self) -> None:
        store = OpenStore(self.name, self._store, self._scheduler.loop)
        self._index.store = store
        await store.open(self.lock_wait)
        restoring = Restoring(
            self.handlers, self._clock, self._index, self._scheduler, self.max_deliveries
        )
        await restoring.restore(store)
        await super()._open()

    def _shut(self) -> None:
        store = self._index.store
        try:
            super()._shut()
        finally:
            if store is not None:
                try:
                    store.close(_CLOSE_S)
                finally:
                    self._index.store = None
                    self._index.leave_all()


def _is_entry(job: Any) -> TypeGuard[FinishedJob]:
    """Whether *job* has finished, and its record is in the store."""
    return isinstance(job, FinishedJob)
