"""Standard output: what it can show, and whether somebody still reads it."""

from __future__ import annotations

import os
import sys

_COLOURS = {
    "heading": 2,
    "pending": 2,
    "running": 36,
    "stopping": 36,
    "completed": 32,
    "failed": 31,
    "timeout": 31,
    "cancelled": 33,
}


def is_plain() -> bool:
    """Whether output must have no control codes: in a pipe, a dumb terminal, or with NO_COLOR."""
    unwanted = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return unwanted or not sys.stdout.isatty()


def coloured(text: str, word: str) -> str:
    """*text* in the colour of *word*, such as a status, unless the output must be plain."""
    colour = _COLOURS.get(word)
    return text if colour is None or is_plain() else f"\x1b[{colour}m{text}\x1b[0m"


def discard_output() -> None:
    """Discard what is left to write, because flushing it at exit would fail or block."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
