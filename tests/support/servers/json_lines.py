"""A log formatter for one JSON object on each line, as log collectors like it."""

from __future__ import annotations

import json
import logging


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
