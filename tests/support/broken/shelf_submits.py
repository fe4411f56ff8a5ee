"""Queues that break a promise about delays, limits of a type, kept keys or many at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobStatus
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.job_index import JobIndex
from stoat_jobs._backends.keys import Keys
from stoat_jobs._backends.pending import PendingJobs
from stoat_jobs._backends.scheduler import Scheduler

from .shelf import ChangesOptions


class IgnoresDelays(ChangesOptions):
    changed = {"delay": None}


class HoldsKeysTooShort(ChangesOptions):
    changed = {"unique": "live"}


class LeavesTransactionsAside(ChangesOptions):
    changed = {"connection": None}


class TakesAnyDelay(AsyncioJobQueue):
    """Makes something of every delay."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        if isinstance(options.get("delay"), float):
            options["delay"] = 0
        return await super().submit(job_type, payload, **options)


class TakesAnyWord(AsyncioJobQueue):
    """What it does not know is its default."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        if options.get("unique") != "kept" or "key" not in options:
            options.pop("unique", None)
        return await super().submit(job_type, payload, **options)


class _Uncounted(PendingJobs):
    def full(self) -> bool:
        return len(self.places) >= self.maxsize


class _PlacesFirst(PendingJobs):
    def first(self, now: float = math.inf) -> Job | None:
        return self.places[0] if self.places else super().first(now)


class _OldestOnly(PendingJobs):
    def first(self, now: float = math.inf) -> Job | None:
        oldest = next(iter(self), None)
        return oldest if oldest is not None and super().first(now) is oldest else None


class _Unlimited(PendingJobs):
    def started(self, job: Job) -> None:
        pass


class _Leaking(PendingJobs):
    def ended(self, job: Job) -> None:
        pass


class _Immortal(PendingJobs):
    def stop(self, job: Job, reason: Any) -> Any:
        outcome = super().stop(job, reason)
        if job.not_before is not None:
            self.put(job)
        return outcome


class _WithPending(AsyncioJobQueue):
    pending: type[PendingJobs]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._scheduler.pending = self.pending(self.settings.max_pending)


class CountsNoDelayed(_WithPending):
    pending = _Uncounted


class StartsDelayedLast(_WithPending):
    pending = _PlacesFirst


class WaitsInTheSlot(_WithPending):
    """The oldest job has the next slot, and waits in there."""

    pending = _OldestOnly


class IgnoresTypeLimits(_WithPending):
    pending = _Unlimited


class LeaksSlotsOfTypes(_WithPending):
    pending = _Leaking


class StartsWhatWasDelayed(_WithPending):
    """A delayed job that was cancelled starts all the same."""

    pending = _Immortal


class _NeverClosed(Scheduler):
    def _close(self, job: Job) -> None:
        if job.not_before is None:
            super()._close(job)


class LeavesDelayedAtClose(AsyncioJobQueue):
    """What is delayed is nobody's when it closes."""

    _scheduler_type = _NeverClosed

    def _shut(self) -> None:
        super()._shut()
        for job in self._index.kept():
            job.status = job.status if job.not_before is None else JobStatus.FAILED


class _Blind(JobIndex):
    def holder(self, job_type: str, key: str, digest: str = "") -> Job | None:
        return super().holder(job_type, key)


class IgnoresPayloads(AsyncioJobQueue):
    """A kept key is that of any payload."""

    _index_type = _Blind


class _Hasty(Keys):
    def release(self, job: Job) -> None:
        self._digests.pop(job, None)
        super().release(job)


class _HastyIndex(JobIndex):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.keys = _Hasty()


class ReleasesKeptKeys(AsyncioJobQueue):
    """A job that is told to stop loses its key."""

    _index_type = _HastyIndex


class _Faithful(Keys):
    def drop(self, job: Job) -> str:
        return ""


class _FaithfulIndex(JobIndex):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.keys = _Faithful()


class HoldsKeysForEver(AsyncioJobQueue):
    """A key outlives the record of its job."""

    _index_type = _FaithfulIndex


class _Greedy(JobIndex):
    @contextmanager
    def passing_key_on(self, job: Job) -> Iterator[Any]:
        self.keys.drop(job)
        yield "live"


class LosesKeysOnTheWay(AsyncioJobQueue):
    """Who is submitted again has its key as any other job."""

    _index_type = _Greedy


class SubmitsOneByOne(AsyncioJobQueue):
    """Many are so many submits, of which some may fail."""

    async def submit_many(self, job_type: str, payloads: Any, **options: Any) -> list[str]:
        return [await self.submit(job_type, payload, **options) for payload in payloads]


class SubmitsBackwards(AsyncioJobQueue):
    """The last of many is the first."""

    async def submit_many(self, job_type: str, payloads: Any, **options: Any) -> list[str]:
        return (await super().submit_many(job_type, list(payloads)[::-1], **options))[::-1]


class TakesWhatItCanRead(AsyncioJobQueue):
    """Reads all payloads before anything else, as far as that goes."""

    async def submit_many(self, job_type: str, payloads: Any, **options: Any) -> list[str]:
        readable: list[Any] = []
        with suppress(Exception):
            readable.extend(payload for payload in payloads)
        return await super().submit_many(job_type, readable, **options)
