"""The table, its version, and how an older one becomes it.

One row for each job that is kept. ``number`` is the order of acceptance. Times are seconds since
the epoch. ``payload``, ``result`` and ``metadata`` are JSON. Whether a file is ours says its
``application_id``; which version of the table it has, its ``user_version``.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x53544A42
"""``STJB``: what the ``application_id`` of our files is."""

VERSION = 1
"""Of the table below."""

OLDEST_SQLITE = (3, 24, 0)
"""The first that knows all of our statements."""

TABLE = """
create table job (
    number integer primary key,
    job_id text not null unique,
    job_type text not null,
    status text not null,
    submitted real not null,
    not_before real,
    started real,
    finished real,
    finish_number integer not null default 0,
    timeout real not null,
    key text,
    kept_key integer not null default 0,
    payload_digest text not null default '',
    payload text not null,
    metadata text not null,
    progress real,
    message text,
    attempt integer not null default 0,
    deliveries integer not null default 0,
    cancel_requested integer not null default 0,
    result text not null default '',
    error text,
    error_type text
)
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the table, or bring an older one up to date, in one transaction.

    Raises:
        OSError: the file is another program's, or of a newer version than this code knows.
        sqlite3.Error: SQLite's own reason.
    """
    raise NotImplementedError
