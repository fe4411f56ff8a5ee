"""Which file a url means."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .._model.errors import BackendError

_PREFIX = "sqlite:///"
_OF_ANOTHER_KIND = re.compile(r"[a-z][a-z0-9+.-]+://|(file|sqlite):", re.IGNORECASE)
_REMEDY = "the path of a file, as 'jobs.db' or 'sqlite:////var/lib/app/jobs.db'"


def path_of(backend: str, url: str | os.PathLike[str] | None) -> Path:
    """The absolute path in *url*: a path, or ``sqlite:///`` and a path, as SQLAlchemy has it.

    A leading ``~`` is what it is in a shell, because settings from the environment or from a file
    have not been through one.

    Raises:
        BackendError: there is none, or it is a url of another kind or for a database in memory.
    """
    text = "" if url is None else os.fspath(url)
    if not text:
        raise BackendError(backend, f"needs `url` in its settings: {_REMEDY}")
    name = text.removeprefix("sqlite://" if text == "sqlite://" else _PREFIX)
    if reason := _refusal(name, is_url=name != text):
        raise BackendError(backend, f"{reason}; give it {_REMEDY}")
    return _absolute(backend, name)


def _refusal(name: str, *, is_url: bool) -> str | None:
    """Why *name* is no path; without its text, which may contain a password."""
    if _OF_ANOTHER_KIND.match(name):
        return "cannot use a `url` of another kind than a path or sqlite:///"
    if name in ("", ":memory:"):
        return "keeps jobs in a file, but its `url` is that of a database in memory"
    if "\0" in name:
        return "has a `url` with a NUL character in it"
    if is_url and "?" in name:
        return "takes no parameters in its `url`; its options are `options` in the settings"
    if name.endswith(tuple(filter(None, ("/", os.sep, os.altsep)))):
        return "has a `url` that ends like a folder's"
    return None


def _absolute(backend: str, name: str) -> Path:
    path = Path(os.path.expanduser(name)).absolute()  # noqa: PTH111 # leaves a file named ~.db
    if os.path.isdir(path):  # noqa: PTH112 # Path.is_dir() raises if a name is too long
        raise BackendError(backend, f"has a `url` that is a folder; give it {_REMEDY}")
    return path
