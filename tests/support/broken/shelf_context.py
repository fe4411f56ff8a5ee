"""Queues on the shelf that break a promise about metadata, the context or a job type's options."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from stoat_jobs import AsyncioJobQueue, Backoff, JobResult
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._jobs.context import current_context
from stoat_jobs._jobs.stop_signal import StopSignal
from stoat_jobs._model.metadata import read_only
from stoat_jobs.backends import JobRun


class TextOnly(AsyncioJobQueue):
    """Makes text of what metadata contains, as queues whose metadata is text pairs."""

    async def submit(self, *args: Any, **options: Any) -> str:
        if metadata := options.get("metadata"):
            options["metadata"] = {str(name): str(value) for name, value in metadata.items()}
        return await super().submit(*args, **options)


class TakesAnyMetadata(AsyncioJobQueue):
    """Leaves out what it cannot keep of the metadata."""

    async def submit(self, *args: Any, **options: Any) -> str:
        try:
            return await super().submit(*args, **options)
        except (TypeError, ValueError):
            return await super().submit(*args, **{**options, "metadata": None})


class SharesMetadata(AsyncioJobQueue):
    """Copies metadata at its first level only."""

    def _accept(self, *args: Any) -> tuple[Job, bool]:
        job, new = super()._accept(*args)
        job.metadata = MappingProxyType(dict(args[4] or {}))
        return job, new


class _LosesUpdates(Scheduler):
    def metadata_updated(self, run: JobRun[Job], metadata: Mapping[str, Any]) -> None:
        """Nobody asked."""


class LosesUpdates(AsyncioJobQueue):
    """Does not put on the record what a handler found out."""

    _scheduler_type = _LosesUpdates


class _TellsNoWatcher(Scheduler):
    def metadata_updated(self, run: JobRun[Job], metadata: Mapping[str, Any]) -> None:
        run.job.metadata = metadata


class TellsNoWatcher(AsyncioJobQueue):
    """Changes the record behind the back of those who watch it."""

    _scheduler_type = _TellsNoWatcher


class ShowsNoReports(AsyncioJobQueue):
    """Its watchers see how a job starts and how it ends."""

    async def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        yield await self.get_result(job_id)
        yield await self.wait(job_id)


class _OwnRun(Scheduler):
    run_type: type[JobRun[Job]]

    def _start(self, job: Job) -> None:
        self._index.start(job)
        run = self.running[job.job_id] = self.run_type(job, job.definition, self)
        run.start()


class _ReplacesRun(JobRun[Job]):
    __slots__ = ()

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        self.relay = None  # begin again with what the record says
        super().update_metadata(fields)


class _UndoesUpdates(_OwnRun):
    run_type = _ReplacesRun


class UndoesUpdates(AsyncioJobQueue):
    """Merges an update with the record, which does not have those of threads yet."""

    _scheduler_type = _UndoesUpdates


class _LateRun(JobRun[Job]):
    __slots__ = ()

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        super().update_metadata(fields)
        if self.is_finished:
            self.job.metadata = read_only({**self.job.metadata, **fields})


class _UpdatesTheDead(_OwnRun):
    run_type = _LateRun


class UpdatesTheDead(AsyncioJobQueue):
    """Changes the metadata of a finished job."""

    _scheduler_type = _UpdatesTheDead


class _LaxRun(JobRun[Job]):
    __slots__ = ()

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        with suppress(TypeError, ValueError):
            super().update_metadata(fields)


class _TakesAnyUpdate(_OwnRun):
    run_type = _LaxRun


class TakesAnyUpdate(AsyncioJobQueue):
    """Passes over an update that it cannot keep."""

    _scheduler_type = _TakesAnyUpdate


class _BeginsAnew(Scheduler):
    def attempt_started(self, run: JobRun[Job], previous: BaseException | None) -> None:
        super().attempt_started(run, previous)
        if previous is not None:
            run.relay, run.job.metadata = None, MappingProxyType({})


class BeginsAnew(AsyncioJobQueue):
    """A further attempt has no metadata."""

    _scheduler_type = _BeginsAnew


class _HidesTheJob(Scheduler):
    def attempt_started(self, run: JobRun[Job], previous: BaseException | None) -> None:
        super().attempt_started(run, previous)
        current_context.set(None)


class HidesTheJob(AsyncioJobQueue):
    """Does not say which job is running."""

    _scheduler_type = _HidesTheJob


class _KeepsTheFirst(Scheduler):
    def attempt_started(self, run: JobRun[Job], previous: BaseException | None) -> None:
        super().attempt_started(run, previous)
        mine = current_context.get()
        if mine is not None:
            known = self.__dict__.setdefault("known", {})
            current_context.set(known.setdefault(run.job.job_id, mine))


class KeepsTheFirst(AsyncioJobQueue):
    """Says in all attempts that it is the first."""

    _scheduler_type = _KeepsTheFirst


class _NeverTells(Scheduler):
    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        if run.relay is not None:
            run.relay.signal = StopSignal()


class NeverTells(AsyncioJobQueue):
    """Tells a job to stop, and not those who wait for that."""

    _scheduler_type = _NeverTells


class _ForgetfulRun(JobRun[Job]):
    __slots__ = ()

    def _let_go(self, abandoned: bool) -> None:
        self.relay = None
        super()._let_go(abandoned)


class _LeavesStopWaiters(_OwnRun):
    run_type = _ForgetfulRun


class LeavesStopWaiters(AsyncioJobQueue):
    """Whoever waits for a stop that never came waits for ever."""

    _scheduler_type = _LeavesStopWaiters


class _OtherOptions(Scheduler):
    options: Mapping[str, Any]

    def _start(self, job: Job) -> None:
        job.definition = copy.copy(job.definition)
        vars(job.definition).update(self.options)
        super()._start(job)


class _RetriesAll(_OtherOptions):
    options = MappingProxyType({"retry_on": (Exception,)})


class RetriesAll(AsyncioJobQueue):
    """Tries everything again."""

    _scheduler_type = _RetriesAll


class _OwnBackoff(_OtherOptions):
    options = MappingProxyType({"backoff": Backoff()})


class OwnBackoff(AsyncioJobQueue):
    """Has delays of its own."""

    _scheduler_type = _OwnBackoff


class _YesOrNo(Scheduler):
    def _start(self, job: Job) -> None:
        asked = job.definition.retry_on
        if callable(asked):
            job.definition = copy.copy(job.definition)
            job.definition.retry_on = lambda error: asked(error) is not False
        super()._start(job)


class YesOrNo(AsyncioJobQueue):
    """Takes every answer of a retry_on for yes or no."""

    _scheduler_type = _YesOrNo


class _OneGrace(_OtherOptions):
    options = MappingProxyType({"cancel_grace": None, "timeout_grace": None})


class OneGrace(AsyncioJobQueue):
    """Gives all job types the same time to stop."""

    _scheduler_type = _OneGrace


class _SameGrace(Scheduler):
    def _start(self, job: Job) -> None:
        job.definition = copy.copy(job.definition)
        job.definition.timeout_grace = job.definition.cancel_grace
        super()._start(job)


class SameGrace(AsyncioJobQueue):
    """Takes the grace of a cancel for that of the deadline."""

    _scheduler_type = _SameGrace


class _CutsGraces(Scheduler):
    def longest_grace(self) -> float:
        return self.cancel_grace


class CutsGraces(AsyncioJobQueue):
    """Stops within its own grace, whatever the job types need."""

    _scheduler_type = _CutsGraces


class _WaitsForDeadlines(Scheduler):
    def longest_grace(self) -> float:
        runs = self.running.values()
        return max((run.definition.timeout_grace or 0.0 for run in runs), default=0.0)


class WaitsForDeadlines(AsyncioJobQueue):
    """Lets a job that is past its deadline hold up the shutdown."""

    _scheduler_type = _WaitsForDeadlines
