"""More of the shelf: queues that only many jobs catch."""

from __future__ import annotations

import asyncio
from typing import Any

from stoat_jobs import AsyncioJobQueue
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.job_index import JobIndex
from stoat_jobs._backends.scheduler import Scheduler


class _EvictsFirst(JobIndex):
    def _forget(self, job: Job) -> None:
        del self._jobs[next(iter(self._jobs))]


class EvictsLive(AsyncioJobQueue):
    """Drops the oldest of its records, live or not."""

    _index_type = _EvictsFirst


class _OneWaiter(Job):
    __slots__ = ()

    def new_waiter(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        self.waiters = None
        return super().new_waiter(loop)


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

    _scheduler_type = _Hoard


class LeavesTasks(AsyncioJobQueue):
    """Begins a task for each of its lives, and ends none."""

    async def __aenter__(self) -> Any:
        self._idle = asyncio.ensure_future(asyncio.Event().wait())
        return await super().__aenter__()
