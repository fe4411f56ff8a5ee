"""Which files a queue may begin with, and how one of an older version becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stoat_jobs._sqlite import schema
from stoat_jobs._sqlite.connections import connect, look_at, make_file
from stoat_jobs._sqlite.store import SqliteStore

from ..support.programs import run_python
from ..support.stored_jobs import stored_job


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    make_file(path)
    with closing(connect(path, "rw")) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("select name from sqlite_master")}


def version(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        pragmas = ("application_id", "user_version")
        found, number = (connection.execute(f"pragma {name}").fetchone()[0] for name in pragmas)
    return found, number


def test_a_new_file_says_whose_it_is(path: Path, connection: sqlite3.Connection) -> None:
    """It has the tables, our ``application_id`` and the version of this code."""
    schema.prepare(connection, path)
    assert {"job", "payload", "result"} <= tables(connection)
    assert version(path) == (0x53544A42, len(schema.STEPS))


def test_a_file_that_is_up_to_date_is_not_written(path: Path) -> None:
    """A start that has nothing to do for the tables does nothing."""
    for _ in range(2):
        store = SqliteStore(path)
        store.open()
        store.close()
        before = path.read_bytes()
    store.open()
    assert Path(f"{path}-wal").stat().st_size == 0
    store.close()
    assert path.read_bytes() == before


def test_an_older_file_is_brought_up_to_date(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the steps that it has not taken, in their order, and keeps its rows."""
    schema.prepare(connection, path)
    connection.execute("insert into payload values (7, '{}')")
    added = ("create table added (number)", "insert into added select number from payload")
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, added, ("update added set number = 8",)))
    schema.prepare(connection, path)
    assert connection.execute("select * from added").fetchall() == [(8,)]
    assert version(path) == (schema.APPLICATION_ID, 3)
    schema.prepare(connection, path)
    assert connection.execute("select * from added").fetchall() == [(8,)]


def test_a_step_that_fails_leaves_the_file_as_it_was(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps are one transaction, and the next start tries again."""
    schema.prepare(connection, path)
    steps = schema.STEPS
    before = path.read_bytes()
    monkeypatch.setattr(schema, "STEPS", (*steps, ("create table a (b)", "nonsense")))
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        schema.prepare(connection, path)
    assert path.read_bytes() == before
    monkeypatch.setattr(schema, "STEPS", (*steps, ("create table a (b)",)))
    schema.prepare(connection, path)
    assert "a" in tables(connection)


_CRASHES = """
import os, sys
from pathlib import Path
from stoat_jobs._sqlite import schema
from stoat_jobs._sqlite.connections import connect, set_up
path = Path(sys.argv[1])
connection = connect(path, "rw")
set_up(connection, path, "full")
connection.create_function("crash", 0, lambda: os._exit(0))
schema.STEPS = (*schema.STEPS, ("create table a (b)", "select crash()"))
schema.prepare(connection, path)
"""


def test_a_crash_in_the_middle_leaves_the_file_as_it_was(path: Path) -> None:
    """What a step of a process that died had done is gone, and this version can use the file."""
    job = stored_job(1)
    store = SqliteStore(path)
    store.open()
    store.write([job], [], [])
    store.close()
    run_python("-c", _CRASHES, path)
    store.open()
    assert list(store.live()) == [job]
    assert "a" not in tables(store._writer)
    store.close()


def test_a_crash_while_the_file_is_made_is_no_obstacle(path: Path) -> None:
    """The journal that SQLite leaves when it dies at its first page is rolled back."""
    code = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin")
connection.execute("create table a (b)")
for number in range(100):
    connection.execute("insert into a values (?)", ("x" * 4000,))
os._exit(0)
"""
    make_file(path)
    run_python("-c", code, path)
    assert Path(f"{path}-journal").stat().st_size > 0
    store = SqliteStore(path)
    store.open()
    assert tables(store._writer) >= {"job"}
    assert "a" not in tables(store._writer)
    store.close()


_MAKES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"pragma journal_mode = {sys.argv[2]}")
connection.executescript(sys.argv[3])
os._exit(0)  # as if it was killed: what a WAL has stays there
"""

_OTHERS = "belongs to another program; choose another file"
_NEWER = (
    r"was written by a newer version of stoat-jobs \(its tables have version 2, this one knows 1\);"
    " upgrade, or use another file"
)


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(
    ("made_by", "reason"),
    [
        ("pragma application_id = 77", _OTHERS),
        ("create table job (job_id)", _OTHERS),
        ("pragma user_version = 1", _OTHERS),
        (f"pragma application_id = {schema.APPLICATION_ID}; pragma user_version = 2", _NEWER),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(
    path: Path, made_by: str, reason: str, mode: str
) -> None:
    """One line says why, and no byte of it changes, nor of what its program left in a WAL."""
    run_python("-c", _MAKES, path, mode, made_by)
    files = list(path.parent.glob("*"))
    assert len(files) == (3 if mode == "wal" else 1)
    kept = [file for file in files if not file.name.endswith("-shm")]
    before = [file.read_bytes() for file in kept]
    with pytest.raises(OSError, match=rf"^{path}: {reason}$"):
        SqliteStore(path).open()
    assert [file.read_bytes() for file in kept] == before


def test_prepare_looks_for_itself(path: Path, connection: sqlite3.Connection) -> None:
    """A file that has become another program's since it was looked at is refused."""
    look_at(path)
    connection.execute("create table job (job_id)")
    with pytest.raises(OSError, match="belongs to another program"):
        schema.prepare(connection, path)
    assert tables(connection) == {"job"}


def test_an_sqlite_that_is_too_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is made, and the line says which one is needed."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 23, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.23.1")
    with pytest.raises(OSError, match=r"^SQLite 3\.23\.1 is too old: .* 3\.24\.0 or newer$"):
        SqliteStore(path).open()
    assert list(path.parent.iterdir()) == []
