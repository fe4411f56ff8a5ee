"""Standard output: what it can show, and whether somebody still reads it."""

from __future__ import annotations

import os
import sys


def is_plain() -> bool:
    """Whether output must have no control codes: in a pipe, a dumb terminal, or with NO_COLOR."""
    unwanted = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return unwanted or not sys.stdout.isatty()


def discard_output() -> None:
    """Discard what is left to write, because flushing it at exit would fail or block."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
