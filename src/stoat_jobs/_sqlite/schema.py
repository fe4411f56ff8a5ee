"""The tables, their version, and how older ones become them.

One row of ``job`` for each job that is kept. ``number`` is the order of acceptance. Times are
seconds since the epoch. Whether a file is ours says its ``application_id``; which version of the
tables it has, its ``user_version``.

``payload`` and ``result`` may be large, so they have tables of their own: SQLite writes a row
again as a whole when any part of it changes, and reads it as a whole when it looks for another.
They and ``metadata`` are JSON.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

APPLICATION_ID = 0x53544A42
"""``STJB``: what the ``application_id`` of our files is."""

OLDEST_SQLITE = (3, 24, 0)
"""The first that knows all of our statements."""

_TABLES = (
    """
    create table job (
        number integer primary key,
        job_id text not null unique,
        job_type text not null,
        status text not null,
        submitted real not null,
        started real,
        finished real,
        finish_number integer not null,
        not_before real,
        key text,
        kept_key integer not null,
        payload_digest text not null,
        timeout real not null,
        deliveries integer not null,
        attempt integer not null,
        cancel_requested integer not null,
        progress real,
        message text,
        error text,
        error_type text,
        metadata text not null
    )
    """,
    "create table payload (number integer primary key, json text not null)",
    "create table result (number integer primary key, json text not null)",
    """
    create trigger job_is_gone after delete on job begin
        delete from payload where number = old.number;
        delete from result where number = old.number;
    end
    """,
)

STEPS: tuple[tuple[str, ...], ...] = (_TABLES,)
"""The statements that lead from each version to the next; an empty file has version 0."""


def check_sqlite() -> None:
    """Refuse an SQLite that is too old for our statements.

    Raises:
        OSError: it is; says which one is needed.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise OSError(
            f"SQLite {sqlite3.sqlite_version} is too old: this Python needs one with {oldest} or"
            " newer"
        )


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the tables in the file *path*; 0 for an empty file.

    Raises:
        OSError: the file is another program's, or of a newer version than this code knows.
        sqlite3.Error: SQLite's own reason.
    """
    found, version = _number(connection, "application_id"), _number(connection, "user_version")
    is_empty = connection.execute("select 1 from sqlite_master").fetchone() is None
    if found != APPLICATION_ID and (found or version or not is_empty):
        raise OSError(f"{path}: belongs to another program; choose another file")
    if version > len(STEPS):
        raise OSError(
            f"{path}: was written by a newer version of stoat-jobs (its tables have version"
            f" {version}, this one knows {len(STEPS)}); upgrade, or use another file"
        )
    return version


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    number: int = connection.execute(f"pragma {pragma}").fetchone()[0]
    return number


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or bring older ones up to date, in one transaction.

    It writes nothing if they are up to date, but finds out whether it could.

    Raises:
        OSError: the file is another program's, or of a newer version than this code knows.
        sqlite3.Error: SQLite's own reason.
    """
    connection.execute("begin immediate")
    try:
        version = version_of(connection, path)
        for statements in STEPS[version:]:
            for statement in statements:
                connection.execute(statement)
        # A file that is read-only refuses this, and not the beginning of the transaction.
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {len(STEPS)}")
        if version < len(STEPS):
            connection.execute("commit")
    finally:
        roll_back(connection)


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction without its changes, unless it has ended already."""
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("rollback")
