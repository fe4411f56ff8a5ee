"""Submit within the caller's transaction: on its connection of asyncpg, psycopg or SQLAlchemy.

- If the caller rolls back, there never was a job. Only plain statements are run, through the
  caller's own object. The errors of its library pass as they are.
- A connection that would commit each statement by itself is refused.
- A driver's connection taken out of SQLAlchemy is refused where it can be recognised: SQLAlchemy
  would not know of the transaction, and could roll back what is acknowledged.
- A blocking connection blocks the event loop for the statement, as all that its caller does with
  it. In a thread it would be used by two threads at once.
- No package is imported here, unless the caller's connection comes from it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

Rows = Sequence[Mapping[str, Any]]

_ARGUMENT = re.compile(r"\$(\d+)::(\w+(?:\[\])?)")

_KNOWN = (
    "a connection of asyncpg, psycopg or SQLAlchemy (Connection, Session, AsyncConnection,"
    " AsyncSession)"
)
_NOT_IN_TRANSACTION = (
    "connection= is in no transaction, so that the job could not be part of one; begin one first"
)
_TAKEN_OUT = (
    "connection= is a driver's connection taken out of SQLAlchemy, which would not know of the"
    " transaction; pass SQLAlchemy's own connection or session"
)
_NOTES = {
    "40001": "stoat-jobs: the job that holds the key, or a row beside it, was committed after this"
    " transaction had begun, which is REPEATABLE READ or SERIALIZABLE and cannot see it."
    " Roll back and try again.",
    "40P01": "stoat-jobs: two transactions wait for keys of each other."
    " Roll back and try again, and submit keys in one order everywhere.",
}
"""What is added to an error of the caller's library, by its SQLSTATE."""


async def fetch_joined(connection: Any, sql: str, args: Sequence[Any]) -> Rows:
    """Run *sql*, which has ``$1::type`` for its arguments, on *connection*.

    *connection*: of asyncpg, psycopg's AsyncConnection, SQLAlchemy's AsyncConnection or
    AsyncSession; the blocking ones of psycopg and SQLAlchemy too.

    Raises:
        TypeError: it is none of these; names them.
        ValueError: it cannot be joined: it is in no transaction and would begin none, was taken
            out of SQLAlchemy, or is of another kind of database.
        RuntimeError: it belongs to another event loop.
        Exception: the library's own. A serialization failure and a deadlock have a note
            that explains them.
    """
    packages = {each.__module__.partition(".")[0] for each in type(connection).__mro__}
    with _explained():
        if "sqlalchemy" in packages:
            return await _fetch_by_sqlalchemy(connection, sql, args)
        if "asyncpg" in packages:
            return await _fetch_by_asyncpg(connection, sql, args)
        if "psycopg" in packages:
            return await _fetch_by_psycopg(connection, sql, args)
        raise _unknown(connection)


def _unknown(connection: Any) -> TypeError:
    kind = type(connection)
    return TypeError(f"connection= must be {_KNOWN}, not {kind.__module__}.{kind.__qualname__}")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy's errors have the driver's
        code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        if code in _NOTES:
            error.add_note(_NOTES[code])
        raise


def _check_loop(connection: Any) -> None:
    """Refuse a connection of another event loop: asyncpg crashes the interpreter by it."""
    loop = getattr(connection, "_loop", None)
    if loop not in {None, asyncio.get_running_loop()}:
        raise RuntimeError("connection= belongs to another event loop")


# asyncpg


async def _fetch_by_asyncpg(connection: Any, sql: str, args: Sequence[Any]) -> Rows:
    import asyncpg

    if not isinstance(connection, asyncpg.Connection):  # as its pool
        raise _unknown(connection)
    _check_loop(connection)
    if not connection.is_in_transaction():
        raise ValueError(_NOT_IN_TRANSACTION)
    rows: Rows = await connection.fetch(sql, *args)
    return rows


# psycopg


async def _fetch_by_psycopg(connection: Any, sql: str, args: Sequence[Any]) -> Rows:
    import psycopg

    if not isinstance(connection, psycopg.AsyncConnection | psycopg.Connection):
        raise _unknown(connection)
    if _is_of_sqlalchemy(connection):
        raise ValueError(_TAKEN_OUT)
    is_idle = connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    if is_idle and connection.autocommit:
        raise ValueError(_NOT_IN_TRANSACTION)
    sql = _ARGUMENT.sub(r"%(p\1)s::\2", sql.replace("%", "%%"))
    # Not by the connection's own kind of cursor, which may want other placeholders.
    if isinstance(connection, psycopg.Connection):
        return _fetch_blocking(connection, sql, _named(args))
    cursor = psycopg.AsyncCursor(connection, row_factory=psycopg.rows.dict_row)
    async with cursor:
        await cursor.execute(sql, _named(args))
        return await cursor.fetchall() if cursor.description else []


def _fetch_blocking(connection: Any, sql: str, args: Mapping[str, Any]) -> Rows:
    import psycopg

    with psycopg.Cursor(connection, row_factory=psycopg.rows.dict_row) as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


def _is_of_sqlalchemy(connection: Any) -> bool:
    """Whether SQLAlchemy made it, which then listens to its notices."""
    handlers = getattr(connection, "_notice_handlers", ())
    return any(f"{getattr(each, '__module__', '')}".startswith("sqlalchemy.") for each in handlers)


def _named(args: Sequence[Any]) -> dict[str, Any]:
    return {f"p{number}": value for number, value in enumerate(args, 1)}


# SQLAlchemy


async def _fetch_by_sqlalchemy(connection: Any, sql: str, args: Sequence[Any]) -> Rows:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    fetch = partial(_fetch_within_sqlalchemy, sql=sql, args=args)
    if hasattr(connection, "registry"):  # a scoped session, which gives the one of this scope
        connection = connection()
    if isinstance(connection, Connection | Session):
        return fetch(connection)
    if hasattr(connection, "run_sync"):  # its module for asyncio may need what is not installed
        rows: Rows = await connection.run_sync(fetch)
        return rows
    if hasattr(connection, "driver_connection"):
        raise ValueError(_TAKEN_OUT)
    raise _unknown(connection)


def _fetch_within_sqlalchemy(connection: Any, sql: str, args: Sequence[Any]) -> Rows:
    from sqlalchemy import Connection, text

    if not isinstance(connection, Connection):
        connection = connection.connection()  # the session's, in its transaction
    if connection.dialect.name != "postgresql":
        raise ValueError(f"connection= is one to {connection.dialect.name}, not to PostgreSQL")
    _check_loop(connection.connection.driver_connection)
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise ValueError(_NOT_IN_TRANSACTION)
    result = connection.execute(text(_ARGUMENT.sub(r"CAST(:p\1 AS \2)", sql)), _named(args))
    return list(result.mappings()) if result.returns_rows else []
