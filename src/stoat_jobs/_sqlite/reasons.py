"""What SQLite's errors mean to whoever runs the application: one line each, with the remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._text import describe

_DAMAGED = (
    "is damaged, or is not a database; restore it from a backup, or move it away: nothing was"
    " overwritten"
)
_BUSY = "another program is writing to it, such as a database browser; close that one"

_REASONS = {
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": "is read-only; let this user write to the file and to its folder",
    "SQLITE_PERM": "this user has no right to use it; change its owner or its mode",
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_IOERR": "the disk failed; the system's log may say how",
    "SQLITE_NOMEM": "there is no memory left",
    "SQLITE_TOOBIG": "a text is too large for a row; set max_payload_bytes or max_result_bytes",
}
"""By SQLite's names of errors; an extended one begins with a name and ``_``."""


def reason_of(error: sqlite3.Error, path: Path) -> str:
    """What *error* says about the database at *path*, in one line that begins with the path."""
    name = getattr(error, "sqlite_errorname", "")
    code = "_".join(name.split("_")[:2])
    reason = _cannot_open(path) if code == "SQLITE_CANTOPEN" else _REASONS.get(code, "")
    said = describe(error) + (f", {name}" if name else "")
    return f"{path}: {reason} ({said})" if reason else f"{path}: {said}"


def _cannot_open(path: Path) -> str:
    if path.is_dir():
        return "is a folder; give the path of a file in it"
    if not path.parent.is_dir():
        return "there is no such folder; make it"
    if not path.exists():
        return "there is no such file"
    return "cannot be opened; let this user read and write the file and its folder"


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Raise errors of SQLite, and of values that are not what we wrote, as ``OSError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(reason_of(error, path)) from error
    except UnicodeEncodeError as error:
        raise OSError(f"{path}: cannot keep text that is not valid Unicode") from error
    except (ValueError, TypeError, LookupError) as error:
        raise OSError(f"{path}: {_DAMAGED} ({describe(error)})") from error
