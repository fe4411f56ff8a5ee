"""Read the url of a PostgreSQL server, without ever showing its password.

``postgresql://``, ``postgres://`` and, as SQLAlchemy writes them, ``postgresql+asyncpg://`` and
others; several hosts; sockets; ``sslmode`` and the other parameters of libpq.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Address:
    """Where a server is, and who asks; its text, also its ``repr``, has no password.

    >>> address_of("postgres", "postgresql+asyncpg://ada:secret@db.example/app")
    ada@db.example:5432/app
    """

    hosts: tuple[tuple[str, int], ...]
    """Host names or folders of sockets, with ports; the first that can be written to is used."""
    user: str | None
    database: str | None
    password: str | None = field(repr=False, default=None)
    arguments: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """What else :func:`asyncpg.connect` is called with: ``ssl``, ``target_session_attrs``..."""


def address_of(backend: str, url: str | None) -> Address:
    """The parts of *url*.

    Raises:
        BackendError: there is no url, it is of another kind, or it cannot be read. The error has
            nothing of the url but its scheme, and no cause.
    """
    raise NotImplementedError
