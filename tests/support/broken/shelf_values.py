"""More of the shelf: queues that break a promise about what goes in and what comes out."""

from __future__ import annotations

import copy
import json
import re
from typing import Any
from uuid import UUID

from stoat_jobs import AsyncioJobQueue, JobPage, JobResult
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


def without_nul(value: Any) -> Any:
    """*value*, which has JSON, without U+0000."""
    return json.loads(text_without_nul(json.dumps(value)))


def text_without_nul(text: str) -> str:
    """JSON without U+0000; a backslash of the text itself is doubled there."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", text)


class DropsNul(AsyncioJobQueue):
    """Leaves out of keys, metadata and payloads what some engines cannot keep."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        for name in options.keys() & {"key", "metadata"}:
            options[name] = without_nul(options[name])
        return await super().submit(job_type, without_nul(payload), **options)


class IgnoresFiltersWithNul(AsyncioJobQueue):
    """Asked for what there cannot be, it lists everything."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        return await super().list_jobs(
            **({} if any("\\x00" in repr(each) for each in filters.values()) else filters)
        )


class ShowsNul(AsyncioJobQueue):
    """A message is as the handler wrote it."""

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        message = record.message and record.message.replace("\\x00", "\0")
        return record.model_copy(update={"message": message})


class _AcceptsAnyAddition(Scheduler):
    def put(self, job: Job) -> None:
        job.metadata = {**job.metadata, "trace": "one"}
        super().put(job)


class CutsWhatObserversAdd(AsyncioJobQueue):
    """Keeps of what an observer adds what it can."""

    _scheduler_type = _AcceptsAnyAddition
