"""Checks that the optional dependencies of a command are installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec


def missing_extra(extra: str, modules: Iterable[str]) -> str | None:
    """Which *modules* of *extra* are missing and how to install them; None if none is missing.

    >>> missing_extra("fast", ["json", "no_such_module"])
    'no_such_module not installed: pip install "stoat-jobs[fast]"'
    """
    missing = [name for name in modules if find_spec(name) is None]
    if not missing:
        return None
    return f'{", ".join(missing)} not installed: pip install "stoat-jobs[{extra}]"'
