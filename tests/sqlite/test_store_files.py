"""Which files there are, who may read them, and which cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs._sqlite import connections
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoreInUseError

from ..support.stored_jobs import (
    kept,
    stored_job,
    wal_size,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_nobody_else_can_read_it(path: Path, mask: int) -> None:
    """From its first byte on, with the two files beside it, whatever the umask says."""
    before = os.umask(mask)
    try:
        connections.make_file(path)
        assert mode_of(path) == 0o600
    finally:
        os.umask(before)
    store = SqliteStore(path)
    os.umask(mask)
    try:
        store.open()
        store.write([stored_job(1)], [], [])
    finally:
        os.umask(before)
    for end in "", "-wal", "-shm":
        assert mode_of(Path(f"{path}{end}")) == 0o600
    store.close()


def test_sqlite_never_makes_the_file(path: Path) -> None:
    """A file that vanishes before SQLite opens it is an error, and not one as the umask says."""
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connections.connect(path, "rw")
    assert not path.exists()


def test_nothing_closes_a_file_that_sqlite_has_open(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would release the locks that SQLite has on it in this process."""
    store.close()
    names: dict[int, str] = {}
    closed: list[str] = []
    original_open, original_close = os.open, os.close

    def noted_open(name: Any, *arguments: Any, **options: Any) -> int:
        descriptor = original_open(name, *arguments, **options)
        names[descriptor] = Path(name).name
        return descriptor

    def noted_close(descriptor: int) -> None:
        original_close(descriptor)
        closed.append(names[descriptor])
        assert store._connections == []

    monkeypatch.setattr(os, "open", noted_open)
    monkeypatch.setattr(os, "close", noted_close)
    store.open()
    store.write([stored_job(1)], [], [])
    store.close()
    assert sorted(closed) == sorted(names.values())
    assert "jobs.db.lock" in closed


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    """Also to one that is yet to be made, which is private too."""
    path, link = tmp_path / "jobs.db", tmp_path / "link.db"
    link.symlink_to(path)
    store = SqliteStore(link)
    store.open()
    store.write([stored_job(1)], [], [])
    store.close()
    assert mode_of(path) == 0o600
    assert link.is_symlink()


@pytest.mark.parametrize("name", ["a b.db", "a?mode=ro.db", "a%20b#c.db", "é🦦.db", "file:x.db"])
def test_names_of_files(tmp_path: Path, name: str) -> None:
    """Whatever a file may be called, it is that file."""
    store = SqliteStore(tmp_path / name)
    store.open()
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}


def test_closing_leaves_one_file(path: Path, store: SqliteStore) -> None:
    """And the lock, which stays; a second time it does nothing."""
    store.write([stored_job(1)], [], [])
    store.close()
    store.close()
    assert {each.name for each in path.parent.iterdir()} == {"jobs.db", "jobs.db.lock"}


def test_closing_beside_a_reader_leaves_no_wal_to_grow(path: Path, store: SqliteStore) -> None:
    """The WAL of a file that somebody else has open still is emptied."""
    with closing(connections.connect(path, "ro")) as visitor:
        visitor.execute("select count(*) from job").fetchall()
        store.write([stored_job(1)], [], [])
        store.close()
        assert wal_size(store) == 0
        assert visitor.execute("select count(*) from job").fetchall() == [(1,)]


def test_one_at_a_time(path: Path, store: SqliteStore) -> None:
    """A second one is refused, and harms the first one in nothing."""
    second = SqliteStore(path)
    with pytest.raises(StoreInUseError):
        second.open()
    second.close()
    store.write([stored_job(1)], [], [])
    store.close()
    second.open()
    assert len(kept(second)) == 1
    second.close()


@pytest.mark.parametrize("step", ["look_at", "set_up", "prepare", "connect"])
def test_an_open_that_fails_leaves_nothing_open(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, the next one can start."""

    def fails(*_: Any) -> None:
        raise sqlite3.OperationalError("no")

    store = SqliteStore(path)
    with monkeypatch.context() as patch, pytest.raises(OSError, match=f"^{path}: no$"):
        patch.setattr(f"stoat_jobs._sqlite.store.{step}", fails)
        store.open()
    assert store._connections == []
    other = SqliteStore(path)
    other.open()
    other.close()


def a_text(path: Path) -> None:
    path.write_text("Dear diary, " * 1_000)


def a_database(path: Path) -> bytes:
    """One of ours, of many pages."""
    store = SqliteStore(path)
    store.open()
    store.write([stored_job(number, payload="x" * 3_000) for number in range(1, 20)], [], [])
    store.close()
    return path.read_bytes()


def a_truncated_one(path: Path) -> None:
    content = a_database(path)
    path.write_bytes(content[: len(content) // 2])


def a_part_of_a_page(path: Path) -> None:
    path.write_bytes(a_database(path)[:700])


def flipped(path: Path, place: int, bit: int) -> None:
    content = bytearray(a_database(path))
    content[place] ^= bit
    path.write_bytes(content)


def a_flipped_magic(path: Path) -> None:
    flipped(path, 5, 1)


def a_flipped_page_size(path: Path) -> None:
    flipped(path, 16, 1)


def a_flipped_page_type(path: Path) -> None:
    flipped(path, 100, 4)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (a_text, "is damaged, or is not a database"),
        (a_truncated_one, "is damaged, or is not a database"),
        (a_part_of_a_page, "is damaged, or is not a database"),
        (a_flipped_magic, "is damaged, or is not a database"),
        (a_flipped_page_size, "is damaged, or is not a database"),
        (a_flipped_page_type, "is damaged, or is not a database"),
    ],
)
def test_a_file_that_cannot_be_used(path: Path, make: Any, reason: str) -> None:
    """One line says what it is, and no byte of it changes."""
    make(path)
    before = path.read_bytes()
    store = SqliteStore(path)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        store.open()
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)
    store.close()
    assert path.read_bytes() == before


def test_a_file_that_can_have_no_wal(path: Path) -> None:
    """Where SQLite keeps to another journal, the line says so."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(OSError, match=rf"^{path}: cannot have a WAL here \(memory\)"),
    ):
        connections.set_up(connection, path, "full")


def test_damage_that_is_found_later(store: SqliteStore) -> None:
    """A value that no queue wrote is an error in one line, wherever it is read."""
    store.write([job := stored_job(1)], [], [])
    damage = "update job set status = ?, job_type = ?"
    cases: list[tuple[tuple[object, object], Callable[[], object]]] = [
        (("running?", "scan"), lambda: list(store.live())),
        (("running?", "scan"), lambda: store.read([job.job_id])),
        (("completed", b"scan"), lambda: list(store.finished())),
    ]
    for values, read in cases:
        store._writer.execute(damage, values)
        with pytest.raises(OSError, match=f"^{store.path}: is damaged"):
            read()


def test_a_file_system_that_is_shared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is made there, unless an option says it is none."""

    def refuse(path: Path) -> None:
        raise OSError(f"{path}: is on nfs")

    monkeypatch.setattr("stoat_jobs._sqlite.store.check_file_system", refuse)
    with pytest.raises(OSError, match=f"^{path}: is on nfs$"):
        SqliteStore(path).open()
    assert list(path.parent.iterdir()) == []
    store = SqliteStore(path, unsafe_filesystem=True)
    store.open()
    store.close()


def test_a_missing_folder(tmp_path: Path) -> None:
    """The line names it, and it is not made."""
    path = tmp_path / "missing" / "jobs.db"
    with pytest.raises(OSError, match=f"^{path.parent}: no such folder; make it"):
        SqliteStore(path).open()
    assert not path.parent.exists()


@pytest.fixture
def other_user(tmp_path: Path) -> Iterator[None]:
    """Somebody else than root, who could do everything; a test makes its files before."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no such users")
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    yield
    os.seteuid(os.getuid())


def be_other_user() -> None:
    os.seteuid(os.geteuid() or 65534)


def test_a_read_only_file(path: Path, other_user: None) -> None:
    """The start fails, instead of the first job."""
    a_database(path)
    path.chmod(0o444)
    path.parent.chmod(0o777)
    Path(f"{path}.lock").unlink()
    before = path.read_bytes()
    be_other_user()
    with pytest.raises(OSError, match=rf"^{path}: is read-only; let this user write"):
        SqliteStore(path).open()
    assert path.read_bytes() == before


def test_a_read_only_folder(path: Path, other_user: None) -> None:
    """There can be no lock in it, so the start fails with a line that names it."""
    be_other_user()
    with pytest.raises(OSError, match=rf"^{path}.lock: cannot be opened: Permission denied"):
        SqliteStore(path).open()
    assert list(path.parent.iterdir()) == []
