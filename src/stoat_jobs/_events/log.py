"""Logs the events of a queue and its jobs with the standard library's logging.

- A record's message is the fixed name of the event, and everything else is in extras. So logs
  can be searched and counted, and JSON formatters write the name and the extras as fields.
- As text, as with ``%(message)s``, a record is one line: the name, then the extras as
  ``name=value``. A value is quoted if it has spaces or could be read as several values.
- ``exc_text``, which formatters print below that line, is made here: the error's own text is
  escaped.
- If a filter, handler or formatter of the app raises, no job is affected and logging goes on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Self

from .._jobs.observer import JobObserver
from .._model.events import FinishedEvent, StartedEvent, SubmittedEvent
from .._model.status import JobStatus
from .._text import ERROR_LIMIT, one_line, shown
from .tracebacks import traceback_of, traceback_text

logger = logging.getLogger("stoat_jobs")

_NAME_LIMIT = 200
_IDS_SHOWN = 5
_BARE = re.compile(r'[^\s"=]+')

_FINISHED: dict[JobStatus, tuple[int, str]] = {
    JobStatus.COMPLETED: (logging.INFO, "job_completed"),
    JobStatus.FAILED: (logging.ERROR, "job_failed"),
    JobStatus.TIMEOUT: (logging.WARNING, "job_timeout"),
    JobStatus.CANCELLED: (logging.INFO, "job_cancelled"),
}


def is_standard(logger: logging.Logger) -> bool:
    """Whether *logger* says as the standard library's do whether it is on."""
    return getattr(logger.isEnabledFor, "__func__", None) is logging.Logger.isEnabledFor


class LoggingObserver(JobObserver):
    """Logs each step of a job to the logger ``stoat_jobs``; every queue has one."""

    is_on = staticmethod(partial(logger.isEnabledFor, logging.INFO))

    def __init__(self) -> None:
        self._summary: _ShutdownSummary | None = None

    def enabled(self, hook: str) -> bool:
        return self.is_on()

    def submitted(self, event: SubmittedEvent) -> None:
        log_event(logging.INFO, "job_submitted", **_job(event))

    def started(self, event: StartedEvent) -> None:
        level = logging.INFO if event.previous is None else logging.WARNING
        log_event(
            level, "job_started", exc_info=event.previous, **_job(event), attempt=event.attempt
        )

    def finished(self, event: FinishedEvent) -> None:
        level, name = _FINISHED[event.record.status]
        if event.record.error_type == "Shutdown":
            level = logging.WARNING  # work was lost
            if self._summary is not None and event.duration_s is None:
                self._summary.add(event)
                return
        _log_finished(level, name, event)
        if event.abandoned:
            _log_finished(logging.WARNING, "job_abandoned", event)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Log one line for all jobs that finish inside this block without having started."""
        self._summary = summary = _ShutdownSummary()
        try:
            yield
        finally:
            self._summary = None
            summary.log(self)


class _ShutdownSummary:
    """The jobs that the shutdown cancelled before they started."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[FinishedEvent] = []

    def add(self, event: FinishedEvent) -> None:
        self._count += 1
        if self._count <= _IDS_SHOWN:
            self._first.append(event)

    def log(self, observer: LoggingObserver) -> None:
        if self._count > 1:
            record = self._first[0].record
            log_event(
                logging.WARNING,
                "jobs_cancelled",
                count=self._count,
                job_ids=",".join(event.job_id for event in self._first),
                error=record.error,
                error_type=record.error_type,
            )
        else:
            for event in self._first:
                observer.finished(event)


def _job(event: SubmittedEvent | StartedEvent | FinishedEvent) -> dict[str, Any]:
    return {"job_id": event.job_id, "job_type": one_line(event.job_type, _NAME_LIMIT)}


def _log_finished(level: int, name: str, event: FinishedEvent) -> None:
    record = event.record
    log_event(
        level,
        name,
        exc_info=event.exception,
        **_job(event),
        error=record.error,
        error_type=record.error_type,
        attempt=record.attempt,
        duration_s=event.duration_s,
    )


class _Event(str):
    """An event's name as ``record.msg``; ``record.getMessage()`` calls its ``str()``."""

    __slots__ = ("_extra",)
    _extra: Mapping[str, Any]

    def __new__(cls, name: str, extra: Mapping[str, Any]) -> Self:
        event = super().__new__(cls, str.__str__(name))
        event._extra = extra
        return event

    def __str__(self) -> str:
        return _Message(self, self._extra)

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (f"{_Message(self, self._extra)}",)  # can be unpickled without stoat-jobs


class _Message(_Event):
    """The same event as ``record.message``: it equals the name, and its text is the whole line."""

    __slots__ = ()

    def __str__(self) -> str:
        parts = (f"{name}={_value(it)}" for name, it in self._extra.items() if it is not None)
        return " ".join([str.__str__(self), *parts])


def _value(value: object) -> str:
    if issubclass(type(value), str):
        text = one_line(value, ERROR_LIMIT)  # type: ignore[arg-type]
    else:
        text = shown(round(value, 3) if type(value) is float else value)
    if _BARE.fullmatch(text):
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def log_event(level: int, name: str, **extra: Any) -> None:
    """Log an event of a queue; an error in the app's logging does not reach the caller.

    The line shows the extras in the given order and leaves out those that are None.
    ``exc_info`` is an exception; its traceback is logged.
    """
    exc_info = extra.pop("exc_info", None)
    try:
        if logger.isEnabledFor(level):
            logger.handle(_record(level, name, exc_info, extra))
    except KeyboardInterrupt:
        raise
    except BaseException:
        _report_logging_error(name)


def _record(
    level: int, name: str, error: BaseException | None, extra: dict[str, Any]
) -> logging.LogRecord:
    """A log record; its extras, unlike ``extra=``, may replace what an app's factory has set."""
    exc_info = None if error is None else (type(error), error, traceback_of(error))
    event = _Event(name, extra)
    record = logger.makeRecord(logger.name, level, __file__, 0, event, (), exc_info)
    vars(record).update(extra)
    if error is not None:
        record.exc_text = traceback_text(error)
    return record


_stderr_handler = logging.Handler()


def _report_logging_error(name: str) -> None:
    """Print on stderr that the app's logging raised, as logging's own handlers do."""
    with suppress(Exception):
        _stderr_handler.handleError(logging.LogRecord(logger.name, 0, __file__, 0, name, (), None))


def log_unstoppable(job_id: str, job_type: str, error: str) -> None:
    """Log that a handler cannot be stopped."""
    job_type = one_line(job_type, _NAME_LIMIT)
    log_event(logging.ERROR, "handler_unstoppable", job_id=job_id, job_type=job_type, error=error)


def log_retry_on_failed(job_id: str, job_type: str, failure: BaseException) -> None:
    """Log that a job is not tried again because its ``retry_on`` does not say whether to."""
    job_type = one_line(job_type, _NAME_LIMIT)
    log_event(logging.ERROR, "retry_on_failed", exc_info=failure, job_id=job_id, job_type=job_type)


def log_thread_left(job_id: str, job_type: str, where: str) -> None:
    """Log that a thread of an executor is still running for a job that has finished."""
    job_type = one_line(job_type, _NAME_LIMIT)
    error = "a thread that its handler waited for is still running and delays the process's exit"
    log_event(
        logging.WARNING, "thread_left", job_id=job_id, job_type=job_type, where=where, error=error
    )
