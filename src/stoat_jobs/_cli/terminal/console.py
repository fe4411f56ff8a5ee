"""Standard output as a rich console, with or without control codes."""

from __future__ import annotations

from rich.console import Console


def make_console(*, plain: bool) -> Console:
    """A console that prints text unchanged: without markup, emoji or highlighting."""
    return Console(
        force_terminal=not plain,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )
