"""Which file a url means."""

from __future__ import annotations

from pathlib import Path


def path_of(backend: str, url: str | None) -> Path:
    """The absolute path in *url*: a path, or ``sqlite:///`` and a path, as SQLAlchemy has it.

    Raises:
        BackendError: there is none, or it is a url of another kind or for a database in memory.
    """
    raise NotImplementedError
