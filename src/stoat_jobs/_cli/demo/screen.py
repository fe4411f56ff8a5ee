"""Shows the progress of the demo: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ..terminal.console import make_console
from ..terminal.output import is_plain
from .client import ScanRecord

if TYPE_CHECKING:
    from typing import Self

LABEL_WIDTH = 20
_PROGRESS_LABEL = "GET /jobs/id/events"
_QUARTERS = 4
_PICTURE_S = 0.05


class Screen:
    """Prints to standard output, on a terminal with colours and a progress bar."""

    def __init__(self) -> None:
        self._plain = is_plain()
        self._console = make_console(plain=self._plain)

    @property
    def width(self) -> int | None:
        """The number of columns; None if lines may be of any length."""
        return None if self._plain else self._console.width

    def step(self, label: str, text: str) -> None:
        """Print one step of the demo."""
        self._print(self._wrapped(f"{label:<{LABEL_WIDTH}} {text}", " " * (LABEL_WIDTH + 1)))

    def lines(self, lines: Iterable[str]) -> None:
        """Print *lines*; those without indentation are headings."""
        for line in lines:
            if line.startswith(" "):
                self._print(line)
            else:
                self._print(self._wrapped(line), style="bold")

    def progress(self) -> PlainProgress | BarProgress:
        """A context manager that shows the job's progress while its block runs."""
        return PlainProgress(self) if self._plain else BarProgress(self._console)

    def _wrapped(self, line: str, indent: str = "") -> str:
        if self.width is None:
            return line
        return textwrap.fill(
            line,
            self.width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, soft_wrap=True)


class PlainProgress:
    """Prints a line at every quarter, and the last one."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._next = 0
        self._last = ""

    def show(self, record: ScanRecord) -> None:
        """Print a line if the job has reached the next quarter, or finished with other words."""
        if (fraction := record.progress) is None:
            return
        line = f"{fraction:4.0%}  {record.message}"
        has_news = record.status.is_terminal and line != self._last
        if has_news or int(fraction * _QUARTERS) >= self._next:
            self._next = int(fraction * _QUARTERS) + 1
            self._last = line
            self._screen.step(_PROGRESS_LABEL, line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Do nothing; plain lines leave nothing to restore."""


class BarProgress:
    """Shows a progress bar."""

    def __init__(self, console: Console) -> None:
        # Drawn on changes only, not by rich's thread, which would slow down what is measured.
        self._progress = Progress(*_columns(console.width), console=console, auto_refresh=False)
        self._drawn_at = -math.inf
        self._task = self._progress.add_task(_PROGRESS_LABEL, total=None, message="")

    def show(self, record: ScanRecord) -> None:
        """Move the bar; draws at most 20 times a second, so that the scan is not slowed down."""
        self._progress.update(
            self._task,
            total=1.0 if record.progress else None,
            completed=record.progress or 0.0,
            message=record.message or str(record.status),
        )
        if record.status.is_terminal or monotonic() >= self._drawn_at + _PICTURE_S:
            self._progress.refresh()
            self._drawn_at = monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._progress.stop()


def _columns(width: int) -> list[ProgressColumn]:
    """As many columns as fit into *width*."""
    bar = BarColumn(bar_width=min(40, max(10, width - 60)))
    columns: list[ProgressColumn] = [bar, TaskProgressColumn()]
    if width >= 60:
        columns.insert(0, TextColumn(f"{{task.description:<{LABEL_WIDTH}}}"))
    if width >= 48:
        columns.append(TextColumn("{task.fields[message]}", markup=False))
    if width >= 90:
        columns.append(TimeRemainingColumn())
    return columns
