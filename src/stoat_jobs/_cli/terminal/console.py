"""Standard output as a rich console, with or without control codes."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def is_plain() -> bool:
    """Whether output must have no control codes: in a pipe, a dumb terminal, or with NO_COLOR."""
    unwanted = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return unwanted or not sys.stdout.isatty()


def make_console(*, plain: bool) -> Console:
    """A console that prints text unchanged: without markup, emoji or highlighting."""
    return Console(
        force_terminal=not plain,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
