"""A backend for stoat-jobs: jobs that outlive the process, in an SQLite file."""

from ._queue import SqliteJobQueue, SqliteOptions
from ._store import SqliteStore

__all__ = ["SqliteJobQueue", "SqliteOptions", "SqliteStore"]
