"""More of the shelf: queues with a store that break a promise about what outlives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from stoat_jobs import JobHandlers, JobQueueSettings, UnknownJobTypeError
from stoat_jobs._backends.job_index import JobIndex
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._run.outcome import failed
from stoat_jobs._stored.durable_job import DurableJob, durable
from stoat_jobs._stored.index import StoredIndex
from stoat_jobs._stored.scheduler import StoredScheduler
from stoat_jobs.backends import StoredJob

from ..stores import TextHandle, TextJobQueue
from .shelf_values import text_without_nul


class EndsWhatItStops(TextJobQueue):
    """Says that it gives back what the shutdown stops, and finishes it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._scheduler.requeues = False


class _GenerousScheduler(StoredScheduler):
    def _is_given_back(self, run: Any, outcome: Any) -> bool:
        return self.phase.value == "closing"


class GivesEverythingBack(TextJobQueue):
    """What ends as the queue closes goes on, whyever it ended."""

    _scheduler_type: ClassVar[type[Scheduler]] = _GenerousScheduler


class _CountingIndex(StoredIndex):
    def give_back(self, job: DurableJob) -> None:
        job.deliveries += 1
        super().give_back(job)


class CountsOrderlyStops(TextJobQueue):
    """Takes an orderly stop for the death of the process."""

    _index_type: ClassVar[type[JobIndex]] = _CountingIndex


class _KeepsOnIndex(StoredIndex):
    def give_back(self, job: DurableJob) -> None:
        attempt, progress = job.attempt, job.progress
        super().give_back(job)
        job.attempt, job.progress = attempt, progress


class KeepsWhatWasReported(TextJobQueue):
    """A job that goes on looks as if it had begun."""

    _index_type: ClassVar[type[JobIndex]] = _KeepsOnIndex


class _ReversedHandle(TextHandle):
    def live(self) -> Iterable[StoredJob]:
        last_first = reversed(list(super().live()))
        return [job.model_copy(update={"number": n}) for n, job in enumerate(last_first, 1)]


class StartsTheLastFirst(TextJobQueue):
    """Begins with what was accepted last."""

    def make_store(self) -> TextHandle:
        return _ReversedHandle(self._given)


class FailsUnknownTypes(TextJobQueue):
    """Fails a job whose type it does not know, though the next queue may."""

    async def _open(self) -> None:
        await super()._open()
        for job in list(self._index.live()):
            if job.job_type not in self.handlers:
                self._scheduler.fail(durable(job), failed(UnknownJobTypeError(job.job_type)))


class CancelsNoUnknownTypes(TextJobQueue):
    """Says that it cancels what it does not know, and leaves it."""

    async def cancel(self, job_id: str) -> bool:
        job_type = (await self.get_result(job_id)).job_type
        return job_type not in self.handlers or await super().cancel(job_id)


class _WithoutNulHandle(TextHandle):
    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        super().write(list(map(_without_nul, new)), list(map(_without_nul, changed)), gone)


def _without_nul(job: StoredJob) -> StoredJob:
    texts = {"payload": job.payload, "result": job.result}
    return job.model_copy(update={name: text_without_nul(text) for name, text in texts.items()})


class StoresNoNul(TextJobQueue):
    """Its store drops what it cannot keep."""

    def make_store(self) -> TextHandle:
        return _WithoutNulHandle(self._given)


class _OtherLimit(TextJobQueue):
    changed: Mapping[str, Any] = {}

    def __init__(
        self, handlers: JobHandlers, settings: JobQueueSettings, *args: Any, **options: Any
    ) -> None:
        changed = settings.model_copy(update=dict(self.changed))
        super().__init__(handlers, changed, *args, **options)


class KeepsAnySize(_OtherLimit):
    """Keeps results of any size."""

    changed = {"max_result_bytes": 1_000_000}


class KeepsLess(_OtherLimit):
    """Is off by one."""

    changed = {"max_result_bytes": 19}
