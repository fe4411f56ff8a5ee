"""The life of a queue and its jobs in the standard library's log.

The message is a fixed event name and everything else an extra, so that a log can
be searched and counted: ``job_id``, ``job_type``, ``attempt``, ``duration_s``,
``error_type`` and, with a failure, the traceback.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from ._protocols import JobObserver
from ._records import FinishedEvent, StartedEvent, SubmittedEvent
from ._status import JobStatus
from ._text import one_line

logger = logging.getLogger("stoat_jobs")

_NAME_LIMIT = 200

_FINISHED: dict[JobStatus, tuple[int, str]] = {
    JobStatus.COMPLETED: (logging.INFO, "job_completed"),
    JobStatus.FAILED: (logging.ERROR, "job_failed"),
    JobStatus.TIMEOUT: (logging.WARNING, "job_timeout"),
    JobStatus.CANCELLED: (logging.INFO, "job_cancelled"),
}


class LoggingObserver(JobObserver):
    """Logs each step of a job to the logger ``stoat_jobs``; every queue has one."""

    is_on = staticmethod(partial(logger.isEnabledFor, logging.INFO))

    def enabled(self, hook: str) -> bool:
        return self.is_on()

    def submitted(self, event: SubmittedEvent) -> None:
        _log(logging.INFO, "job_submitted", event.job_id, event.job_type)

    def started(self, event: StartedEvent) -> None:
        level = logging.INFO if event.previous is None else logging.WARNING
        _log(
            level,
            "job_started",
            event.job_id,
            event.job_type,
            exc_info=event.previous,
            attempt=event.attempt,
        )

    def finished(self, event: FinishedEvent) -> None:
        level, name = _FINISHED[event.record.status]
        if event.record.error_type == "Shutdown":
            level = logging.WARNING  # work was lost
        self._finished(level, name, event)
        if event.abandoned:
            self._finished(logging.WARNING, "job_abandoned", event)

    def _finished(self, level: int, name: str, event: FinishedEvent) -> None:
        record = event.record
        _log(
            level,
            name,
            record.job_id,
            record.job_type,
            exc_info=event.exception,
            attempt=record.attempt,
            duration_s=event.duration_s,
            error_type=record.error_type,
            error=record.error,
        )


def _log(
    level: int,
    name: str,
    job_id: str,
    job_type: str,
    *,
    exc_info: BaseException | None = None,
    **extra: Any,
) -> None:
    extra.update(job_id=job_id, job_type=one_line(job_type, _NAME_LIMIT))
    _emit(level, name, exc_info, extra)


def _emit(level: int, name: str, error: BaseException | None, extra: dict[str, Any]) -> None:
    """Log; unlike ``extra=``, it does not refuse what an app's record factory has set before."""
    if not logger.isEnabledFor(level):
        return
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, level, __file__, 0, name, (), exc_info)
    vars(record).update(extra)
    logger.handle(record)


def log_event(level: int, name: str, **extra: Any) -> None:
    """Log an event in the life of a queue; a log handler that raises hurts nobody."""
    exc_info = extra.pop("exc_info", None)
    try:
        _emit(level, name, exc_info, extra)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: S110 - nowhere is left to say it
        pass


def log_unstoppable(job_id: str, job_type: str, error: str) -> None:
    """Log that a handler cannot be ended."""
    job_type = one_line(job_type, _NAME_LIMIT)
    log_event(logging.ERROR, "handler_unstoppable", job_id=job_id, job_type=job_type, error=error)
