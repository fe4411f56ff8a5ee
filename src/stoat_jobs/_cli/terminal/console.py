"""Standard output, as rich knows it; decided once how much it can show."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def is_plain() -> bool:
    """Whether output must do without control codes: a pipe, a dumb terminal, or NO_COLOR."""
    wishes = os.environ.get("NO_COLOR"), os.environ.get("TERM") == "dumb"
    return any(wishes) or not sys.stdout.isatty()


def make_console(*, plain: bool) -> Console:
    """Standard output for text that is shown as it is: no markup, no emoji, nothing highlighted."""
    return Console(
        force_terminal=not plain,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
