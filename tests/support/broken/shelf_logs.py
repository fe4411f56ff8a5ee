"""More of the shelf: queues that break a promise about their times or their log."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from stoat_jobs import AsyncioJobQueue, FinishedEvent, JobObserver, JobResult
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._events.log import LoggingObserver
from stoat_jobs._events.observers import HOOKS, _listeners
from stoat_jobs.backends import Clock


class _OldClock(Clock):
    def _follow(self, ahead: float) -> float:
        return 0.0


class LivesInThePast(AsyncioJobQueue):
    """Never looks at the wall clock again."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._clock = self._index._clock = self._scheduler._clock = _OldClock()


class TakesNoTime(AsyncioJobQueue):
    """Its jobs finish when they start, by what it says."""

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        record = await super().wait(job_id, timeout)
        return record.model_copy(update={"finished_at": record.started_at})


class _Hasty(JobObserver):
    def __init__(self, observer: JobObserver) -> None:
        self._observer = observer

    def finished(self, event: FinishedEvent) -> None:
        self._observer.finished(replace(event, duration_s=0.0))


class TellsNoTime(AsyncioJobQueue):
    """Tells observers that a job took no time."""

    def __init__(self, handlers: Any, settings: Any, observers: Iterable[JobObserver]) -> None:
        super().__init__(handlers, settings, [_Hasty(each) for each in observers])


class LogsByItself(AsyncioJobQueue):
    """Base of those whose log is another."""

    log_type = LoggingObserver

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        log = self.log_type()
        self._observers._listeners = {hook: _listeners([log], hook) for hook in HOOKS}
        self._observers.wants = {hook: self._observers._wants(hook) for hook in HOOKS}


class _TouchyLog(LoggingObserver):
    """Its listeners are dropped like any other's, since it is not the observers' own log."""

    def submitted(self, event: Any) -> None:
        self._log("job_submitted", event)

    def started(self, event: Any) -> None:
        self._log("job_started", event)

    def finished(self, event: FinishedEvent) -> None:
        self._log(f"job_{event.record.status}", event)

    def _log(self, name: str, event: Any) -> None:
        extra = {"job_id": event.job_id, "job_type": event.job_type}
        error = getattr(event, "exception", None)
        level = logging.ERROR if error else logging.INFO
        logging.getLogger("stoat_jobs").log(level, name, exc_info=error, extra=extra)


class LogsWithoutCare(LogsByItself):
    """Its lines say nothing, its tracebacks everything, and an error in it ends it."""

    log_type = _TouchyLog


class _ChattyScheduler(Scheduler):
    def _closing(self) -> AbstractContextManager[None]:
        return nullcontext()


class LogsEachLostJob(AsyncioJobQueue):
    """Fills the log at its stop."""

    _scheduler_type = _ChattyScheduler
