"""The log of a server: written as one JSON object on each line, and read again."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

ENDED = {"job_completed", "job_failed", "job_timeout", "job_cancelled"}

Line = dict[str, Any]

_SHOWN = ("process", "level", "event", "job_type", "error_type", "traceback")


class JsonLines(logging.Formatter):
    """The message, where and when it was logged, and those of the extras that stoat-jobs gives."""

    EXTRAS = ("job_id", "job_type", "error_type", "error", "duration_s", "processes", "remedy")

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": record.getMessage(),
            "level": record.levelname,
            "process": record.process,
            "time": record.created,
        }
        line.update((name, getattr(record, name)) for name in self.EXTRAS if hasattr(record, name))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


@dataclass
class Log:
    """The lines of all processes of a server, in the order in which they came."""

    lines: list[Line] = field(default_factory=list)

    def has(self, event: str, **extras: object) -> bool:
        return bool(self.find(event, **extras))

    def find(self, event: str, **extras: object) -> list[Line]:
        """The lines that begin with *event* and have these *extras*."""
        return [
            line
            for line in self.lines
            if line["event"].startswith(event) and extras.items() <= line.items()
        ]

    def text(self) -> str:
        """As a reader of the log would see it."""
        return "\n".join(
            " ".join(str(line[name]) for name in _SHOWN if line.get(name)) for line in self.lines
        )

    def outcomes(self) -> dict[str, list[str]]:
        """The ends that jobs came to, each with the job types that did."""
        found: dict[str, list[str]] = defaultdict(list)
        for line in self.find("job_submitted"):
            found[self._outcome(line["job_id"])].append(line["job_type"])
        return {end: sorted(job_types) for end, job_types in found.items()}

    def _outcome(self, job_id: str) -> str:
        return ", ".join(filter(None, map(_end, self.find("job_", job_id=job_id)))) or "no end"

    def stop_times(self) -> list[float]:
        """Seconds that each queue took to stop."""
        stopped = {line["process"]: line["time"] for line in self.find("worker_stopped")}
        return [
            stopped[line["process"]] - line["time"]
            for line in self.find("queue_draining")
            if line["process"] in stopped
        ]


def _end(line: Line) -> str:
    if line["event"] == "job_abandoned":
        return "abandoned"
    if line["event"] not in ENDED:
        return ""
    status = str(line["event"]).removeprefix("job_")
    return f"{status} ({line['error_type']})" if line.get("error_type") else status
