"""Queues that share an engine and each break one promise, for the kit to catch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from stoat_jobs import (
    JobNotFoundError,
    JobPage,
    JobResult,
    JobStatus,
    PayloadNotKeptError,
    RemovedEvent,
)
from stoat_jobs.backends import JobRun

from ..shared_engine import SharedJob
from ..shared_queue import SharedJobQueue
from ..shared_slots import RemovalReason
from ..stores import TextHandle, TextJobQueue


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
        here = job_id in self.running
        record = await super().wait(job_id, timeout)
        if not here and record.status is JobStatus.COMPLETED:
            await asyncio.get_running_loop().create_future()
        return record


class CancelsItsOwnAlone(SharedJobQueue):
    """Says that it cancels what runs elsewhere, and tells nobody."""

    async def cancel(self, job_id: str) -> bool:
        if self._engine.run_of(job_id) is self.running.get(job_id):
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
            if job_id not in queue.running and not options:
                await SharedJobQueue.submit(queue, job_type, payload)
        return job_id


class NeverHelps(SharedJobQueue):
    """Leaves what another took on to it."""

    async def submit(self, *args: Any, **options: Any) -> str:
        others = [queue for queue in self._engine.queues if queue is not self]
        open_before = [queue.takes_jobs for queue in others]
        for queue in others:
            queue.takes_jobs = False
        try:
            return await super().submit(*args, **options)
        finally:
            for queue, was_open in zip(others, open_before):
                queue.takes_jobs = was_open


class EndsForAll(SharedJobQueue):
    """Finishes, when it stops, what waits for all of them."""

    async def drain(self) -> None:
        for job in tuple(self._engine.waiting.values()):
            await self.cancel(job.job_id)
        await super().drain()


class _HasItsOwn(SharedJobQueue):
    """Knows which jobs were submitted here."""

    @property
    def own(self) -> set[str]:
        own: set[str] = self.__dict__.setdefault("_own", set())
        return own

    async def submit(self, *args: Any, **options: Any) -> str:
        job_id = await super().submit(*args, **options)
        self.own.add(job_id)
        return job_id

    async def submit_many(self, *args: Any, **options: Any) -> list[str]:
        ids = await super().submit_many(*args, **options)
        self.own.update(ids)
        return ids


class ListsItsOwnAlone(_HasItsOwn):
    """Lists the jobs that were submitted here."""

    async def list_jobs(self, **options: Any) -> JobPage[Any]:
        page = await super().list_jobs(**options)
        return JobPage((each for each in page if each.job_id in self.own), page.cursor)


class HasCursorsOfItsOwn(SharedJobQueue):
    """Begins anew at a cursor that another has given."""

    async def list_jobs(self, *, before: str | None = None, **options: Any) -> JobPage[Any]:
        given = self.__dict__.setdefault("_given", set())
        page = await super().list_jobs(before=before if before in given else None, **options)
        given.add(page.cursor)
        return page


class DeletesItsOwnAlone(_HasItsOwn):
    """Says that it deletes the record of a job that was submitted elsewhere, and does not."""

    async def delete(self, job_id: str) -> bool:
        if job_id in self.own:
            return await super().delete(job_id)
        return (await self.get_status(job_id)).is_terminal


class DeletesWhatRunsElsewhere(SharedJobQueue):
    """Takes a job that does not run here for one that has finished."""

    async def delete(self, job_id: str) -> bool:
        return await super().delete(job_id) or job_id not in self.running


class ResubmitsItsOwnAlone(_HasItsOwn):
    """Has the payloads of the jobs that were submitted here."""

    async def resubmit(self, job_id: str) -> str:
        if job_id not in self.own:
            raise PayloadNotKeptError(job_id, "hold")
        return await super().resubmit(job_id)


class CancelsAllItsOwnAlone(SharedJobQueue):
    """Cancels together what waits or runs here."""

    async def cancel_all(self, **filters: Any) -> int:
        waiting = tuple(self._engine.waiting)
        return sum([await self.cancel(job_id) for job_id in (*waiting, *self.running)])


class DelaysForItselfAlone(_HasItsOwn):
    """Leaves the delayed jobs of others to them."""

    def fill(self, now: float = 0.0) -> None:
        waiting = self._engine.waiting
        others = {job.job_id: job for job in waiting.values() if job.delay}
        for job_id in others.keys() - self.own:
            del waiting[job_id]
        super().fill(now)
        waiting.update((job_id, others[job_id]) for job_id in others.keys() - self.own)


class HasDelaysOfItsOwn(_HasItsOwn):
    """Starts at once what another was told to delay."""

    def fill(self, now: float = 0.0) -> None:
        delayed = [job for job in self._engine.waiting.values() if job.job_id not in self.own]
        for job in delayed:
            job.delay = min(job.delay, 0.0 if self is self._engine.queues[-1] else job.delay)
        super().fill(now)


class KeepsKeysForItselfAlone(SharedJobQueue):
    """Does not compare the payload with that of a job that another has accepted."""

    async def submit(self, *args: Any, **options: Any) -> str:
        if self is not self._engine.queues[0]:
            options.pop("unique", None)
        return await super().submit(*args, **options)


class LimitsTypesForAll(SharedJobQueue):
    """Counts what the others run of a type as if it ran here."""

    def _full_types(self) -> set[str]:
        return {name for queue in self._engine.queues for name in SharedJobQueue._full_types(queue)}


class UpdatesInSilence(SharedJobQueue):
    """Tells nobody of metadata that changes."""

    def metadata_updated(self, run: JobRun[SharedJob], metadata: Mapping[str, Any]) -> None:
        run.job.metadata = metadata


class TellsAllOfRemovals(SharedJobQueue):
    """Tells the observers of every queue of a record that goes."""

    def remove(self, job: SharedJob, reason: RemovalReason) -> None:
        super().remove(job, reason)
        for queue in self._engine.queues:
            if queue is not self:
                queue._observers.tell("removed", RemovedEvent(job.record(), reason))


class _OpenToAll(TextHandle):
    def open(self) -> None:
        self._store.owner = None
        super().open()


class TakesAStoreInUse(TextJobQueue):
    """Starts on a store that another queue has open."""

    def make_store(self) -> TextHandle:
        return _OpenToAll(self._given)
