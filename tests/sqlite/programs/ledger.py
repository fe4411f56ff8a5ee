"""What a process was told, written down outside its queue, before it goes on.

One line for each: a word, the id of a job or a key, and more. The system keeps a line that was
written, however the process ends. All lines of a file are in the order in which they were written.

- ``submitted ID KEY``, ``cancelled ID``, ``deleted ID``: the call has returned.
- ``ended ID STATUS``: what ``wait`` has returned.
- ``began ID KEY``, ``left ID KEY``: the handler was called, and returns or stops.
- ``asking KEY``, ``deleting ID``: a call begins whose answer may not come.
- ``started``, ``stopped``: the queue.

``-`` stands for no key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    """One line of a ledger."""

    word: str
    name: str = ""
    more: str = ""


class Ledger:
    """Where lines are added."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, word: str, name: str = "", more: str = "-") -> None:
        """In one write, so that no line is in two parts."""
        os.write(self._fd, f"{word} {name} {more}\n".encode())


def lines(text: bytes) -> Iterator[Line]:
    """What is in a ledger."""
    for line in text.decode().splitlines():
        yield Line(*line.split())


def unanswered(entries: list[Line]) -> list[str]:
    """The keys of submissions whose answer never came."""
    asked = dict.fromkeys(line.name for line in entries if line.word == "asking")
    answered = {line.more for line in entries if line.word == "submitted"}
    return [key for key in asked if key not in answered]
