"""Queues that each lose something, for the soak to catch."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobQueueSettings, JobStatus, QueueClosedError
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.job_index import JobIndex
from stoat_jobs._backends.pending import PendingJobs
from stoat_jobs._backends.scheduler import Scheduler


class Overbooks(AsyncioJobQueue):
    """Runs twice as many jobs as it has slots for."""

    def __init__(self, handlers: Any, settings: JobQueueSettings, observers: Any) -> None:
        more = settings.model_copy(update={"concurrency": 2 * settings.concurrency})
        super().__init__(handlers, more, observers)


class _LeakyScheduler(Scheduler):
    def finished(self, run: Any, outcome: Any) -> None:
        self.concurrency -= outcome.status is JobStatus.TIMEOUT and self.concurrency > 0
        super().finished(run, outcome)


class LeaksSlots(AsyncioJobQueue):
    """A job that is late takes its slot along."""

    scheduler_type = _LeakyScheduler


class _Stack(PendingJobs):
    def take(self) -> Job:
        return self.popitem()[1]


class _StackOfJobs(Scheduler):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pending = _Stack(self.pending.maxsize)


class NewestFirst(AsyncioJobQueue):
    """Starts what came last."""

    scheduler_type = _StackOfJobs


class _EvictsFirst(JobIndex):
    def _forget(self, job: Job) -> None:
        del self._jobs[next(iter(self._jobs))]


class EvictsLive(AsyncioJobQueue):
    """Drops the oldest of its records, live or not."""

    index_type = _EvictsFirst


class _KeepsAll(JobIndex):
    def __init__(self, clock: Any, result_ttl: float, max_results: int) -> None:
        super().__init__(clock, math.inf, max_results)


class KeepsForEver(AsyncioJobQueue):
    """Lets no record go because of its age."""

    index_type = _KeepsAll


class _OneWaiter(Job):
    __slots__ = ()

    async def change(self, deadline: float = math.inf) -> None:
        self.waiters = None
        await super().change(deadline)


class WakesOne(AsyncioJobQueue):
    """Knows of one waiter for each job, the last that came."""

    def _accept(self, *args: Any) -> tuple[Job, bool]:
        job, new = super()._accept(*args)
        job.__class__ = _OneWaiter
        return job, new


class _Hoard(Scheduler):
    def finished(self, run: Any, outcome: Any) -> None:
        super().finished(run, outcome)
        if outcome.abandoned:
            self.__dict__.setdefault("hoard", []).append(run)


class HoardsRuns(AsyncioJobQueue):
    """Forgets no handler that it has left behind."""

    scheduler_type = _Hoard


class LeavesTasks(AsyncioJobQueue):
    """Begins a task for each of its lives, and ends none."""

    async def __aenter__(self) -> Any:
        self._idle = asyncio.ensure_future(asyncio.Event().wait())
        return await super().__aenter__()


class AcceptsAfterClose(AsyncioJobQueue):
    """Takes work that nobody will do."""

    async def submit(self, *args: Any, **options: Any) -> str:
        try:
            return await super().submit(*args, **options)
        except QueueClosedError:
            return "accepted"
