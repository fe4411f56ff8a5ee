"""What a process hears of its queue, noted in the ledger: its observers' events and its log."""

from __future__ import annotations

import logging
from typing import Any

from stoat_jobs import FinishedEvent, JobObserver, JobResult, RemovedEvent

from .ledger import Ledger

_STANDARD = vars(logging.makeLogRecord({})).keys()


def seen(record: JobResult[Any]) -> dict[str, Any]:
    """A record as it is noted."""
    return {"job": record.job_id, "record": record.model_dump(mode="json")}


class Hearing(JobObserver):
    """Notes what ended, and what is kept no longer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def finished(self, event: FinishedEvent) -> None:
        self._ledger.note("finished", **seen(event.record))

    def removed(self, event: RemovedEvent) -> None:
        self._ledger.note("removed", **seen(event.record), reason=event.reason)


class LogToLedger(logging.Handler):
    """Notes warnings and errors of the queue, and of whatever else speaks up."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(logging.WARNING)
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        extras = {name: each for name, each in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            extras["traceback"] = logging.Formatter().formatException(record.exc_info)
        self._ledger.note(
            "log", event=record.getMessage(), level=record.levelname, **_plain(extras)
        )


def _plain(extras: dict[str, Any]) -> dict[str, Any]:
    """Without the names that every event has."""
    return {f"{name}_" if name in ("at", "pid", "what") else name: extras[name] for name in extras}
