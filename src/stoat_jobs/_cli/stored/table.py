"""Jobs as a table: as wide as the terminal, or in a pipe as wide as its cells."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime

from ..._display import safe_text
from ..terminal import wording
from ..terminal.output import coloured
from ..terminal.wording import Job

Row = tuple[str, ...]

_HEADINGS = ("JOB", "TYPE", "STATUS", "AGE", "TOOK", "ERROR")
_JOB, _TYPE, _STATUS, _AGE, _TOOK, _ERROR = range(len(_HEADINGS))

# On a terminal, cells of these columns may be cut to so many characters, and are no longer.
_LEAST = {_TYPE: 10, _ERROR: 20}
_MOST = {_TYPE: 24}
_LEFT_OUT_FIRST = (_ERROR, _TOOK, _AGE)
_SHORT_ID = 9  # with the ellipsis

_GAP = "  "
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_INVISIBLE = ("Mn", "Me", "Cf")


def row_of(job: Job, now: datetime) -> Row:
    """The cells of *job*, safe to print."""
    return (
        safe_text(job.job_id),
        safe_text(job.job_type),
        wording.state(job),
        wording.age(job, now),
        wording.took_briefly(job, now) if job.started_at else "",
        safe_text(wording.failure(job)) if job.status.is_terminal else "",
    )


def table_lines(rows: Sequence[Row], width: int | None = None) -> Iterator[str]:
    """The lines, cut to *width* columns; with None they are not cut."""
    widths = _widths([_HEADINGS, *rows], width)
    yield coloured(_GAP.join(_cells(_HEADINGS, widths)).rstrip(), "heading")
    for row in rows:
        cells = list(_cells(row, widths))
        cells[_STATUS] = coloured(cells[_STATUS], row[_STATUS])
        yield _GAP.join(cells).rstrip()


def _cells(row: Row, widths: Sequence[int]) -> Iterator[str]:
    return (_fitted(cell, width) for cell, width in zip(row, widths) if width)


def _widths(rows: Sequence[Row], room: int | None) -> list[int]:
    """The width of each column; 0 for one that is left out."""
    full = [max(map(columns_of, cells)) for cells in zip(*rows)]
    if not any(row[_ERROR] for row in rows[1:]):
        full[_ERROR] = 0
    if room is None:
        return full
    widths = [min(width, _LEAST.get(column, width)) for column, width in enumerate(full)]
    for column in _LEFT_OUT_FIRST:
        if _total(widths) > room:
            widths[column] = 0
    if _total(widths) > room:
        widths[_JOB] = _SHORT_ID
    for column in filter(widths.__getitem__, _LEAST):
        most = min(full[column], _MOST.get(column, room))
        widths[column] = max(1, min(most, widths[column] + room - _total(widths)))
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def _fitted(text: str, width: int) -> str:
    """*text* in *width* columns: its beginning, or filled with spaces."""
    if columns_of(text) > width:
        while columns_of(text) >= width:
            text = text[:-1]
        text += _ELLIPSIS
    return text + " " * (width - columns_of(text))


def columns_of(text: str) -> int:
    """How many columns of a terminal *text* takes.

    >>> columns_of("scan"), columns_of("猫")
    (4, 2)
    """
    return len(text) if text.isascii() else sum(map(_columns_of_one, text))


def _columns_of_one(char: str) -> int:
    if unicodedata.category(char) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
