"""Where a public name says that it comes from."""

from __future__ import annotations

import inspect
from typing import Any

_PACKAGE = __name__.removesuffix("._exports")  # another one where it is vendored


def export(module: str, *values: Any) -> None:
    """Make *module* the ``__module__`` of the classes and functions that private ones define.

    Pickles and error trackers write it down. Of a private module, the first would break when it
    is moved, and the second would show what nobody is to import.
    """
    for value in values:
        is_named = inspect.isclass(value) or inspect.isfunction(value)
        if is_named and "._" in value.__module__.removeprefix(_PACKAGE):
            value.__module__ = module
