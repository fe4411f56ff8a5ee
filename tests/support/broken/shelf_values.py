"""More of the shelf: queues that break a promise about what goes in and what comes out."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

from stoat_jobs import AsyncioJobQueue
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._payload.results import discard


class _HoardingScheduler(Scheduler):
    def keep_result(self, definition: Any, value: Any) -> Any:
        return value


class KeepsIterators(AsyncioJobQueue):
    """Keeps what its first reader uses up."""

    _scheduler_type = _HoardingScheduler


class Unawaited:
    """What an async function gave, which nobody will await."""

    def __init__(self, value: Any) -> None:
        discard(value)


class _UnawaitedScheduler(Scheduler):
    def _start(self, job: Job) -> None:
        job.definition = copy.copy(job.definition)
        if not job.definition.is_async:
            function = job.definition.function
            job.definition.function = lambda *args, **names: Unawaited(function(*args, **names))
        super()._start(job)


class AwaitsNoWrapper(AsyncioJobQueue):
    """Takes what a thread hands back for the result, whatever it is."""

    _scheduler_type = _UnawaitedScheduler


class DriversUUID(UUID):
    """As database drivers have it."""


class _DriversScheduler(Scheduler):
    def _start(self, job: Job) -> None:
        given = job.payload.arguments
        job.payload.arguments = {
            name: DriversUUID(int=each.int) if isinstance(each, UUID) else each
            for name, each in given.items()
        }
        super()._start(job)


class HandsOnSubclasses(AsyncioJobQueue):
    """Gives the handler what a driver takes for a UUID."""

    _scheduler_type = _DriversScheduler
