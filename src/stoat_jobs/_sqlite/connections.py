"""Connections to the file of a database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

from .schema import version_of

_BUSY_S = 3.0
WAL_LIMIT_BYTES = 16 * 2**20
_CACHE_KIB = 16 * 1024


def make_file(path: Path) -> None:
    """Make an empty file that no other user can read, if there is none.

    SQLite would make it as the umask says. It gives its ``-wal`` and ``-shm`` the same mode.
    A file that exists is not even opened: closing it would release SQLite's own locks.

    Raises:
        OSError: there can be none.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    with suppress(FileExistsError):
        descriptor = os.open(os.path.realpath(path), flags, 0o600)
        try:
            if hasattr(os, "fchmod"):  # a umask may have taken even our own rights
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def connect(path: Path, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """A connection to an existing file, which any thread may use, and one at a time.

    With ``ro`` it never writes, and neither does it checkpoint as it closes: such a visitor
    can take no row with it.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def look_at(path: Path) -> None:
    """Refuse a file that is not ours, before anything in it could change.

    Raises:
        OSError: it is another program's, or of a newer version than this code knows.
        sqlite3.Error: SQLite's own reason.
    """
    with closing(connect(path, "ro")) as visitor:
        try:
            version_of(visitor, path)
        except sqlite3.OperationalError as error:
            # A crash while the file was made has left what only a connection that writes removes.
            if not error.sqlite_errorname.startswith("SQLITE_READONLY"):
                raise


def set_up(connection: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """Let *connection* write to a WAL beside *path*.

    A checkpoint after each commit that leaves 1,000 pages or more in the WAL is SQLite's default;
    it never waits for readers. A reader that holds an old snapshot keeps it from the whole, and
    the WAL grows. After it has gone, the next commits begin the WAL anew, and cut it to its limit.

    Raises:
        OSError: the file cannot have a WAL.
        sqlite3.Error: SQLite's own reason.
    """
    mode = connection.execute("pragma journal_mode = wal").fetchone()[0]
    if mode != "wal":
        raise OSError(f"{path}: cannot have a WAL here ({mode}); use a local disk")
    connection.execute(f"pragma synchronous = {synchronous}")
    connection.execute("pragma fullfsync = on")  # of macOS, whose fsync does not reach the disk
    connection.execute("pragma checkpoint_fullfsync = on")
    connection.execute(f"pragma journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
