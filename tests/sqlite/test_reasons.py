"""What SQLite says, in words that name the file and the remedy."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from stoat_jobs._sqlite.reasons import errors_of, reason_of


def error(name: str, text: str = "SQLite's text") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("SQLITE_FULL", "the disk is full; free some space"),
        ("SQLITE_BUSY", "another program is writing to it"),
        ("SQLITE_BUSY_SNAPSHOT", "another program is writing to it"),
        ("SQLITE_LOCKED_SHAREDCACHE", "another program is writing to it"),
        ("SQLITE_READONLY_DBMOVED", "is read-only; let this user write to the file"),
        ("SQLITE_IOERR_WRITE", "the disk failed; the system's log may say how"),
        ("SQLITE_CORRUPT_INDEX", "is damaged, or is not a database; restore it"),
        ("SQLITE_NOTADB", "is damaged, or is not a database; restore it"),
        ("SQLITE_NOMEM", "there is no memory left"),
        ("SQLITE_TOOBIG", "a text is too large for a row; set max_payload_bytes"),
        ("SQLITE_PERM", "this user has no right to use it"),
    ],
)
def test_each_kind_has_its_remedy(name: str, reason: str) -> None:
    """Also the finer kinds that it has; what SQLite said itself follows."""
    line = reason_of(error(name), Path("/a/jobs.db"))
    assert line.startswith(f"/a/jobs.db: {reason}")
    assert line.endswith(f" (SQLite's text, {name})")


def test_other_errors_are_told_as_they_are() -> None:
    """In one line, with the name if there is one."""
    path = Path("/a/jobs.db")
    assert reason_of(error("SQLITE_MISUSE", "two\nlines"), path) == (
        "/a/jobs.db: two\\nlines, SQLITE_MISUSE"
    )
    assert reason_of(sqlite3.ProgrammingError("closed"), path) == "/a/jobs.db: closed"


def test_what_cannot_be_opened_says_what_is_there(tmp_path: Path) -> None:
    """A folder, nothing, not even a folder, or a file that this user may not open."""
    (tmp_path / "a").touch()
    reasons = {
        tmp_path: "is a folder",
        tmp_path / "x" / "jobs.db": "there is no such folder; make it",
        tmp_path / "x": "there is no such file",
        tmp_path / "a": "cannot be opened; let this user read and write",
    }
    for path, reason in reasons.items():
        assert reason_of(error("SQLITE_CANTOPEN_ISDIR"), path).startswith(f"{path}: {reason}")


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (error("SQLITE_FULL"), "/a: the disk is full"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "/a: cannot keep text that is not"),
        (KeyError("running?"), "/a: is damaged, or is not a database"),
        (OSError("as it is"), "as it is"),
    ],
)
def test_a_store_raises_what_its_queue_expects(raised: Exception, line: str) -> None:
    """Every failure is an ``OSError`` of one line; what was one before is left as it is."""
    with pytest.raises(OSError, match=f"^{line}"), errors_of(Path("/a")):
        raise raised
