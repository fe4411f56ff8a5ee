"""Sets ``__module__`` of public names to the module from which users import them."""

from __future__ import annotations

import inspect
from typing import Any

_PACKAGE = __name__.removesuffix("._exports")  # not always "stoat_jobs": it may be vendored


def export(module: str, *values: Any) -> None:
    """Set ``__module__`` of classes and functions that private modules define to *module*.

    Pickles and error trackers record it. With the name of a private module, pickles would break
    when that module moves, and error trackers would show a module that users must not import.
    """
    for value in values:
        is_named = inspect.isclass(value) or inspect.isfunction(value)
        if is_named and "._" in value.__module__.removeprefix(_PACKAGE):
            value.__module__ = module
