"""What fails in a store costs one write, and nothing of what was acknowledged."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoredJob

from ..support.another import Another
from ..support.stored_jobs import (
    RUNNING,
    changed,
    kept,
    stored_job,
)

ROOT = Path(__file__).parents[2]


def test_an_unlinked_file_acknowledges_nothing(path: Path, store: SqliteStore) -> None:
    """What is committed to a file that nobody will find is an error."""
    path.rename(path.with_name("away"))
    with pytest.raises(OSError, match="was deleted or replaced"):
        store.write([stored_job(1)], [], [])


def test_a_file_that_is_unlinked_while_it_is_written(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the commit it is looked at again, before anybody is told."""
    change = store._change

    def meanwhile(*arguments: Any) -> None:
        change(*arguments)
        path.rename(path.with_name("away"))

    monkeypatch.setattr(store, "_change", meanwhile)
    with pytest.raises(OSError, match="was deleted or replaced"):
        store.write([stored_job(1)], [], [])


def test_a_write_that_fails_changes_nothing(store: SqliteStore) -> None:
    """All of it or nothing, and the next one works."""
    first = stored_job(1)
    store.write([first], [], [])
    same_number = stored_job(1)
    running = changed(first, record=RUNNING)
    with pytest.raises(OSError, match="UNIQUE"):
        store.write([stored_job(2), same_number], [running], [])
    assert kept(store) == [first]
    store.write([second := stored_job(2)], [running], [])
    assert kept(store) == [running, second]


def test_text_that_cannot_be_kept_is_refused(store: SqliteStore) -> None:
    """Half a surrogate pair costs the write it is in, and none after it."""
    with pytest.raises(OSError, match="cannot keep text that is not valid Unicode"):
        store.write([stored_job(1), stored_job(2, key="\ud800")], [], [])
    store.write([job := stored_job(1)], [], [])
    assert kept(store) == [job]


def test_a_transaction_that_could_not_be_rolled_back(store: SqliteStore) -> None:
    """It is rolled back before the next write."""
    store._writer.execute("begin immediate")
    store._writer.execute("create table left_over (a)")
    store.write([job := stored_job(1)], [], [])
    assert kept(store) == [job]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        store._writer.execute("select * from left_over")


def test_a_foreign_writer(path: Path, store: SqliteStore) -> None:
    """While another program is in a transaction, the error says so; then writing goes on."""
    store._writer.execute("pragma busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("begin immediate")
        with pytest.raises(OSError, match=f"^{path}: another program is writing to it"):
            store.write([stored_job(1)], [], [])
        foreign.execute("rollback")
        store.write([job := stored_job(1)], [], [])
    assert kept(store) == [job]


def test_a_full_file(store: SqliteStore) -> None:
    """Where SQLite finds no more room the line says so, and more room is all that it takes."""
    pages = store._writer.execute("pragma page_count").fetchone()[0]
    store._writer.execute(f"pragma max_page_count = {pages}")
    written = fill(store, 10_000)
    store._writer.execute("pragma max_page_count = 100000")
    assert kept(store) == written
    store.write([job := stored_job(1_000_000)], [], [])
    assert kept(store) == [*written, job]


def fill(store: SqliteStore, size: int) -> list[StoredJob]:
    """Write until there is no more room, and see what it says; what was acknowledged."""
    written = list[StoredJob]()
    for number in count(1):
        jobs = [stored_job(2 * number + each, payload=f'"{"x" * size}"') for each in (0, 1)]
        try:
            store.write(jobs, [], [])
        except OSError as error:
            assert str(error).startswith(f"{store.path}: the disk is full; free some space (")
            assert "\n" not in str(error)
            return written
        written += jobs
    raise AssertionError


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f"mount -t tmpfs -o size=1m none '{disk}' 2>/dev/null"
    is_mounted = hasattr(os, "geteuid") and os.geteuid() == 0 and os.system(command) == 0
    if not is_mounted:
        if os.environ.get("CI") == "true" and hasattr(os, "geteuid") and os.geteuid() == 0:
            pytest.fail("no file system can be mounted here, and this is where it has to be")
        pytest.skip("only root can mount a small file system")
    yield disk
    os.system(f"umount '{disk}'")


def test_a_full_disk(small_disk: Path) -> None:
    """A disk without room is an error in one line; nothing is half written, and room is enough."""
    (small_disk / "ballast").write_bytes(b"x" * 300_000)
    store = SqliteStore(small_disk / "jobs.db")
    store.open()
    written = fill(store, 20_000)
    assert kept(store) == written
    (small_disk / "ballast").unlink()
    store.write([job := stored_job(1_000)], [], [])
    assert kept(store) == [*written, job]
    store.close()
    store.open()
    assert kept(store) == [*written, job]
    store.close()


_BEGINNING = """
import os, sys
from pathlib import Path
from stoat_jobs._sqlite.store import SqliteStore
from tests.support.stored_jobs import stored_job
store = SqliteStore(Path({path!r}))
store.open()
store.write([stored_job({number})], [], [])

def in_child(act):
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            answer = act()
        except Exception as error:
            answer = f"{{type(error).__name__}}: {{error}}"
        os.write(writing, str(answer).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with open(reading) as file:
        return file.read()
"""

_LIMITED = """
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
_, most = getrlimit(RLIMIT_FSIZE)
wal = os.stat(f"{store.path}-wal").st_size
setrlimit(RLIMIT_FSIZE, (wal + 10_000, most))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
def test_a_disk_that_fails(path: Path) -> None:
    """An I/O error in the middle of a write is one line; nothing of it stays, and writing goes on."""
    with holder(path, 1) as process:
        process.do(_LIMITED)
        write = "store.write([stored_job(number) for number in range({}, {})], [], [])"
        failed = process.do(write.format(2, 1_000))
        assert re.fullmatch(
            rf"OSError: {path}: the disk failed; the system's log may say how \(.*SQLITE_IOERR_.*\)",
            failed,
        )
        assert process.do("answer = len(list(store.live()))") == 1
        assert process.do("setrlimit(RLIMIT_FSIZE, (most, most))") is None
        assert process.do(write.format(2, 10)) is None
        process.kill()
        process.process.wait()
    store = SqliteStore(path)
    store.open()
    assert len(kept(store)) == 9
    store.close()


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")


def holder(path: Path, number: int) -> Another:
    """Another process that has the file open, and has written one job."""
    return Another(_BEGINNING.format(path=str(path), number=number), cwd=ROOT)


@FORKS
def test_a_forked_child_can_do_nothing(path: Path) -> None:
    """It can neither write nor read, and its parent goes on."""
    with holder(path, 1) as parent:
        for act in "store.write([stored_job(2)], [], [])", "store.read(['x'])":
            assert "forked child" in parent.do(f"answer = in_child(lambda: {act})")
        assert parent.do("answer = in_child(store.close)") == "None"
        assert parent.do("store.write([stored_job(2)], [], [])") is None


@FORKS
@pytest.mark.parametrize("end", ["store.close(), sys.exit()", "sys.exit()"])
def test_a_child_that_outlives_its_parent_deletes_no_wal(path: Path, end: str) -> None:
    """What a later holder acknowledged before it was killed is there after the child has left."""
    gate = path.parent / "gate"
    os.mkfifo(gate)
    with holder(path, 1) as parent:
        parent.do(f"if os.fork() == 0: open({str(gate)!r}).read(), {end}")
        opened = os.open(gate, os.O_WRONLY)
        parent.kill()
        parent.process.wait()
        with holder(path, 2) as successor:
            successor.do("store.close()")
        with holder(path, 3) as successor:
            successor.kill()
            successor.process.wait()
        assert Path(f"{path}-wal").stat().st_size > 0
        os.close(opened)
        parent.stdout.read()  # until the child has left too
    store = SqliteStore(path)
    store.open()
    assert [job.number for job in kept(store)] == [1, 2, 3]
    store.close()
