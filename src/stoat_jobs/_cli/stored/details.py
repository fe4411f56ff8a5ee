"""A job with all that is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stoat_jobs import JobResult

from ..._display import duration_text, safe_text
from ..terminal import wording
from ..terminal.output import coloured
from ..terminal.wording import Job

_WIDTH = max(map(len, JobResult.model_fields))
_JSON = ("metadata", "payload", "result")


def detail_lines(job: Job, result_type: str | None = None) -> Iterator[str]:
    """A line for each field that is set; below those, what is JSON, indented.

    *result_type*: the name of the result's own type, if that is known.
    """
    fields = {name: value for name, value in job if value != _default(name)}
    for name, value in fields.items():
        if name not in _JSON:
            yield _line(name, _text(value))
    if job.started_at and job.finished_at:
        yield _line("took", duration_text(wording.seconds(job, job.finished_at)))
    for name in _JSON:
        if name in fields:
            is_typed = name == "result" and result_type is not None
            yield f"{name} ({safe_text(str(result_type))}):" if is_typed else f"{name}:"
            yield from _indented(fields[name])


def _default(name: str) -> Any:
    return JobResult.model_fields[name].default


def _line(name: str, text: str) -> str:
    return f"{name + ':':<{_WIDTH + 1}}  {coloured(text, text) if name == 'status' else text}"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds")[:-6] + " UTC"
    return safe_text(str(value))


def _indented(value: Any) -> Iterator[str]:
    """The lines of *value* as JSON; other than ASCII is escaped if any of it is not printable."""
    lines = json.dumps(value, ensure_ascii=False, indent=2).splitlines()
    if not all(map(str.isprintable, lines)):
        lines = json.dumps(value, indent=2).splitlines()
    return (f"  {line}" for line in lines)
