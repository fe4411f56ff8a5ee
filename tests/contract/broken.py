"""Queues that share an engine and each break one promise, for the kit to catch."""

from __future__ import annotations

import asyncio
from typing import Any

from stoat_jobs import JobNotFoundError, JobResult, JobStatus
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.scheduler import Scheduler

from .shared import SharedJobQueue, SharedSlots
from .stores import TextHandle, TextJobQueue


class KnowsItsOwnAlone(SharedJobQueue):
    """Reads the jobs that were submitted here, and no others."""

    async def submit(self, *args: Any, **options: Any) -> str:
        job_id = await super().submit(*args, **options)
        self.__dict__.setdefault("own", set()).add(job_id)
        return job_id

    async def get_result(self, job_id: str) -> JobResult[Any]:
        if job_id not in self.__dict__.get("own", ()):
            raise JobNotFoundError(job_id)
        return await super().get_result(job_id)


class HearsItsOwnAlone(SharedJobQueue):
    """Hears of the ends of jobs that run here."""

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        here = job_id in self.slots.running
        record = await super().wait(job_id, timeout)
        if not here and record.status is JobStatus.COMPLETED:
            await asyncio.get_running_loop().create_future()
        return record


class CancelsItsOwnAlone(SharedJobQueue):
    """Says that it cancels what runs elsewhere, and tells nobody."""

    async def cancel(self, job_id: str) -> bool:
        if self._engine.slots_of(job_id) in (None, self.slots):
            return await super().cancel(job_id)
        return True


class CancelsWhatItTook(SharedJobQueue):
    """Says that it cancels what waits, if another took it on, and does not."""

    async def cancel(self, job_id: str) -> bool:
        status = await self.get_status(job_id)
        if status is JobStatus.PENDING and self is not self._engine.queues[0]:
            return True
        return await super().cancel(job_id)


class HasKeysOfItsOwn(SharedJobQueue):
    """Looks for a key among the jobs submitted here."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        if key := options.get("key"):
            options["key"] = f"{self._engine.queues.index(self)} {key}"
        return await super().submit(job_type, payload, **options)


class RunsForAll(SharedJobQueue):
    """Begins each job here, whoever has begun it too."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        job_id = await super().submit(job_type, payload, **options)
        for queue in self._engine.queues:
            if job_id not in queue.slots.running and not options:
                await super(SharedJobQueue, queue).submit(job_type, payload)
        return job_id


class _OwnWorkAlone(SharedSlots):
    def put(self, job: Job) -> None:
        Scheduler.put(self, job)


class NeverHelps(SharedJobQueue):
    """Leaves what another took on to it."""

    scheduler_type = _OwnWorkAlone


class _EndsForAll(SharedSlots):
    _stop_all_pending = Scheduler._stop_all_pending


class EndsForAll(SharedJobQueue):
    """Settles, when it stops, what waits for all of them."""

    scheduler_type = _EndsForAll


class _OpenToAll(TextHandle):
    def open(self) -> None:
        self._store.owner = None
        super().open()


class TakesAStoreInUse(TextJobQueue):
    """Starts on a store that another queue has open."""

    def make_store(self) -> TextHandle:
        return _OpenToAll(self._given)
