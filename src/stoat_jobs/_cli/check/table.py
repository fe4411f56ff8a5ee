"""Prints a line for each promise while the tests run, grouped under headings."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections import Counter
from enum import Enum
from typing import TextIO

from stoat_jobs._display import counted, printable

_INDENT = " " * len("  excused  ")


class State(Enum):
    """The result for a promise; the value is its colour on a terminal."""

    KEPT = 32
    BROKEN = 31
    EXCUSED = 33

    def __str__(self) -> str:
        return "BROKEN" if self is State.BROKEN else self.name.lower()


class Table:
    """Prints lines: wrapped and coloured on a terminal, plain in a pipe."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        tty = out.isatty()
        self._width = shutil.get_terminal_size().columns if tty else 1_000_000
        self._coloured = tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._group = ""
        self.counts: Counter[State] = Counter()

    def promise(self, group: str, sentence: str, state: State, more: str = "") -> None:
        """Print the result for one promise, with details in *more*."""
        if group != self._group:
            self._group = group
            self._print(f"\n{group}")
        self.counts[state] += 1
        word = f"{state!s:<7}"
        self._print(f"  {self._colour(word, state)}  ", sentence)
        if more:
            self._print(_INDENT, more)

    def text(self, text: str) -> None:
        """Print a line that is not about a promise."""
        self._print("", text)

    def total(self) -> None:
        """Print how many promises had each result."""
        kinds = ", ".join(f"{self.counts[state]} {state!s}".lower() for state in State)
        self._print(f"\n{counted(self.counts.total(), 'promise')}: ", kinds)

    def _colour(self, word: str, state: State) -> str:
        return f"\x1b[{state.value}m{word}\x1b[0m" if self._coloured else word

    def _print(self, lead: str, text: str = "") -> None:
        room = max(40, self._width - len(_INDENT))
        shown = printable(" ".join(text.split()))  # it may come from code of others
        lines = textwrap.wrap(shown, room, break_on_hyphens=False) or [""]
        print(lead + f"\n{_INDENT}".join(lines), file=self._out, flush=True)
