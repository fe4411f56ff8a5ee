"""More of the shelf: queues that only many jobs catch."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from stoat_jobs import AsyncioJobQueue
from stoat_jobs._backends.scheduler import Slots
from stoat_jobs._backends.table import Job, JobTable


class _EvictsFirst(JobTable):
    def _drop_oldest(self) -> str:
        job_id = self._finished.popleft().job_id
        del self._jobs[next(iter(self._jobs))]
        return job_id


class EvictsLive(AsyncioJobQueue):
    """Drops the oldest of its records, live or not."""

    table_type = _EvictsFirst


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


class _Hoard(Slots):
    def settled(self, run: Any, outcome: Any) -> None:
        super().settled(run, outcome)
        if outcome.abandoned:
            self.__dict__.setdefault("hoard", []).append(run)


class HoardsRuns(AsyncioJobQueue):
    """Forgets no handler that it has left behind."""

    slots_type = _Hoard


class LeavesTasks(AsyncioJobQueue):
    """Begins a task for each of its lives, and ends none."""

    async def __aenter__(self) -> Any:
        self._idle = asyncio.ensure_future(asyncio.Event().wait())
        return await super().__aenter__()
