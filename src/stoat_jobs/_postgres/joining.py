"""Submit within the caller's transaction: on its connection of asyncpg, psycopg or SQLAlchemy.

If the caller rolls back, there never was a job. Only plain statements are run, through the
caller's own object. A raw driver connection taken out of SQLAlchemy is refused where it can be
recognised: SQLAlchemy would not know of the transaction, and could roll back what is acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


async def fetch_joined(connection: Any, sql: str, args: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Run *sql*, which has ``$1::type`` for its arguments, on *connection*.

    *connection*: of asyncpg, psycopg's AsyncConnection, SQLAlchemy's AsyncConnection or
    AsyncSession; the blocking ones of psycopg and SQLAlchemy too.

    Raises:
        TypeError: it is none of these; names them.
        ValueError: it is in a transaction that cannot be joined, as one in autocommit mode
            without a transaction; a REPEATABLE READ that may not see the job of its key.
    """
    raise NotImplementedError
