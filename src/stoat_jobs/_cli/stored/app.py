"""Finds the handlers of an app by its name, without running it."""

from __future__ import annotations

import argparse
import importlib
import sys
from contextlib import redirect_stdout
from functools import reduce
from types import ModuleType
from typing import Any

from stoat_jobs import JobHandlers


class AppError(Exception):
    """There are no handlers to be found under this name; says why."""


def app_name(text: str) -> tuple[str, str]:
    """A module and a name in it, as an argument of the command line."""
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not package.module:name")
    return module, name


def handlers_of(place: str, name: str) -> JobHandlers:
    """The handlers at *name* in the module at *place*.

    That is a :class:`JobHandlers`, a queue that has one, or an app. Which handlers an app uses is
    known only while it runs; so they are those that its module has, if it has no others.

    Raises:
        AppError: it cannot be imported, or it is not clear which handlers are meant.
    """
    module = _imported(place)
    try:
        found: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise AppError(f"module {place} has no {name!r}") from None
    for each in (found, getattr(found, "handlers", None)):
        if isinstance(each, JobHandlers):
            return each
    return _only_handlers(place, module)


def _imported(place: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")  # the current folder, as servers do
    try:
        with redirect_stdout(sys.stderr):  # so that it cannot get between lines of JSON
            return importlib.import_module(place)
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        raise AppError(f"cannot import {place}: {type(error).__name__}: {error}") from error


def _only_handlers(place: str, module: ModuleType) -> JobHandlers:
    named = {key: each for key, each in vars(module).items() if isinstance(each, JobHandlers)}
    distinct = {id(each): each for each in named.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    names = " or ".join(f"--app {place}:{key}" for key in named)
    which = f"it has several JobHandlers: give {names}" if named else "it has no JobHandlers"
    raise AppError(f"cannot tell which handlers the app in {place} uses: {which}")
