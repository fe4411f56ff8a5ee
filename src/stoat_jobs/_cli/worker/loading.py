"""Imports an ASGI app by its name, as uvicorn does."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any

from .problems import FAILED, WRONG, WorkerError, description


def load_app(name: str, folder: str, *, is_factory: bool) -> Any:
    """The app ``package.module:attribute``, which is looked for in *folder* first.

    Raises:
        WorkerError: there is none, or its code raised.
    """
    sys.path.insert(0, os.path.abspath(folder))
    found = _found(name, folder)
    if is_factory:
        found = _made(found, name, folder)
    elif _wants_no_arguments(found):
        raise WorkerError(WRONG, f"{name} takes no arguments, so it is no ASGI app: try --factory")
    if not callable(found):
        kind = type(found).__name__
        what = f"what {name} returns" if is_factory else name
        raise WorkerError(WRONG, f"{what} is no ASGI app, but of type {kind}")
    return found


def _found(name: str, folder: str) -> Any:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise WorkerError(WRONG, f"{name!r} is not package.module:app")
    found: Any = _module(module_name, folder)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise WorkerError(WRONG, f"{module_name} has no {path!r}") from None
    return found


def _module(name: str, folder: str) -> Any:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, name):
            where = os.path.abspath(folder)
            reason = f"no module {error.name!r} in {where} or on Python's path; see --app-dir"
            raise WorkerError(WRONG, reason) from None
        reason = f"{name} cannot be imported: {description(error, folder)}"
        raise WorkerError(FAILED, reason) from error


def _is_part(missing: str | None, name: str) -> bool:
    """Whether the module that is missing is the one that was asked for, or a package around it."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _made(factory: Any, name: str, folder: str) -> Any:
    if not callable(factory):
        raise WorkerError(WRONG, f"{name} is no factory, but of type {type(factory).__name__}")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise WorkerError(FAILED, f"{name}() failed: {description(error, folder)}") from error


def _wants_no_arguments(found: Any) -> bool:
    """Whether *found* is a function that makes an app, and not an app."""
    return inspect.isfunction(found) and not inspect.signature(found).parameters
