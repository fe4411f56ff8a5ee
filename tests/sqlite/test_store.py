"""What the store keeps, and what it leaves as it was when something fails."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import JobStatus
from stoat_jobs._sqlite import connections
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoredJob, StoreInUseError

from ..support.another import Another
from ..support.stored_jobs import changed, finished_job, stored_job

RUNNING = {"status": JobStatus.RUNNING}
COMPLETED = {"status": JobStatus.COMPLETED}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open()
    yield store
    store.close()


def kept(store: SqliteStore) -> list[StoredJob]:
    """What is live, as a new process would find it."""
    return sorted(store.live(), key=lambda job: job.number)


def wal_size(store: SqliteStore) -> int:
    return Path(f"{store.path}-wal").stat().st_size


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# What is kept.


def test_all_is_there_after_a_restart(path: Path, store: SqliteStore) -> None:
    """Live jobs come back whole, and of finished ones what the queue has to know."""
    live, done = stored_job(1, key="k"), finished_job(2)
    store.write([live, done], [], [])
    store.close()
    store.open()
    assert kept(store) == [live]
    assert [entry.job_id for entry in store.finished()] == [done.job_id]
    assert list(store.read([done.job_id, live.job_id, "?"])) in ([live, done], [done, live])


def test_the_three_parts_of_a_write(store: SqliteStore) -> None:
    """New jobs are kept, changed ones replaced, and others gone with all that belonged to them."""
    first, second = finished_job(1).model_copy(update={"result": "[1]"}), stored_job(2)
    store.write([first, second], [], [])
    third, running = stored_job(3), changed(second, record=RUNNING, deliveries=1)
    store.write([third], [running], [first.job_id])
    assert kept(store) == [running, third]
    assert list(store.finished()) == store.read([first.job_id]) == []
    for table, number in ("job", 2), ("payload", 2), ("result", 0):
        query = f"select count(*) from {table}"  # noqa: S608
        assert store._writer.execute(query).fetchone() == (number,)


def test_a_large_payload_is_written_once(store: SqliteStore) -> None:
    """A start and new metadata do not write it again; the end drops it."""
    job = stored_job(1, payload=f'"{"x" * 1_000_000}"')
    store.write([job], [], [])
    store._writer.execute("pragma wal_checkpoint(truncate)")
    running = changed(job, record=RUNNING)
    store.write([], [running], [])
    assert 0 < wal_size(store) < 50_000
    assert kept(store) == [running]
    done = changed(job, record=COMPLETED, payload="", result="1", finish_number=2)
    store.write([], [done], [])
    assert store.read([job.job_id]) == [done]


def test_a_payload_that_its_type_keeps_stays(store: SqliteStore) -> None:
    """A finished job that comes with its payload has it."""
    job = stored_job(1, payload='{"n": 1}')
    store.write([job], [], [])
    done = changed(job, record=COMPLETED, finish_number=2)
    store.write([], [done], [])
    assert store.read([job.job_id]) == [done]


def test_many_are_read_and_dropped_at_once(store: SqliteStore) -> None:
    """More ids than a statement of an older SQLite may have are no error."""
    jobs = [finished_job(number) for number in range(1, 1_201)]
    store.write(jobs, [], [])
    ids = [job.job_id for job in jobs]
    assert {job.job_id for job in store.read(ids)} == set(ids)
    store.write([], [], ids[1:])
    assert [job.job_id for job in store.read(ids)] == ids[:1]


def test_what_is_being_written_is_not_read(store: SqliteStore) -> None:
    """The connection that reads sees what is committed, and waits for nobody."""
    store.write([job := stored_job(1)], [], [])
    store._writer.execute("begin immediate")
    store._writer.execute("delete from job")
    assert store.read([job.job_id]) == [job]
    store._writer.execute("rollback")


def test_the_reading_connection_cannot_write(store: SqliteStore) -> None:
    """Neither a row nor a checkpoint."""
    store.write([stored_job(1)], [], [])
    before = store.path.read_bytes()
    for statement in "delete from job", "pragma wal_checkpoint(truncate)":
        with suppress(sqlite3.OperationalError):
            store._reader.execute(statement)
    assert store.path.read_bytes() == before
    assert len(kept(store)) == 1


@pytest.mark.parametrize(("synchronous", "number"), [("full", 2), ("normal", 1)])
def test_when_the_disk_is_waited_for(path: Path, synchronous: str, number: int) -> None:
    """At each commit, or only at checkpoints; on macOS in the way that reaches the disk."""
    store = SqliteStore(path, synchronous=synchronous)
    store.open()
    pragmas = {"synchronous": number, "fullfsync": 1, "checkpoint_fullfsync": 1}
    for name, value in pragmas.items():
        assert store._writer.execute(f"pragma {name}").fetchone() == (value,)
    assert store._writer.execute("pragma journal_mode").fetchone() == ("wal",)
    store.close()


# The files.


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


def test_only_sqlite_opens_an_existing_file(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens and closes it releases the locks that SQLite has on it in this process."""
    store.close()
    opened = list[str]()
    original = os.open

    def noted(name: Any, *arguments: Any, **options: Any) -> int:
        descriptor = original(name, *arguments, **options)
        opened.append(os.fspath(name))
        return descriptor

    monkeypatch.setattr(os, "open", noted)
    store.open()
    store.write([stored_job(1)], [], [])
    store.close()
    assert {Path(name).name for name in opened} == {"jobs.db.lock"}


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


# Failures.


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


# The WAL.


def test_the_wal_shrinks_after_a_long_reader(path: Path) -> None:
    """It grows while somebody holds a snapshot, and a few commits later it is within its limit."""
    store = SqliteStore(path, synchronous="normal")
    store.open()
    store.write([stored_job(1)], [], [])
    payload = f'"{"x" * 1_000_000}"'
    with closing(connections.connect(path, "ro")) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from job").fetchall()
        for number in range(2, 22):
            store.write([stored_job(number, payload=payload)], [], [])
        assert wal_size(store) > 1.1 * connections.WAL_LIMIT_BYTES
    for number in range(22, 25):
        store.write([stored_job(number)], [], [])
    assert wal_size(store) <= connections.WAL_LIMIT_BYTES
    assert len(kept(store)) == 24
    store.close()


# Files that cannot be used.


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


def test_damage_that_is_found_later(store: SqliteStore) -> None:
    """A value that no queue wrote is an error in one line, wherever it is read."""
    store.write([job := stored_job(1)], [], [])
    store._writer.execute("update job set status = 'running?'")
    for read in lambda: list(store.finished()), lambda: store.read([job.job_id]):
        with pytest.raises(OSError, match=f"^{store.path}: is damaged"):
            read()


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


# Forks.

_BEGINNING = """
import os, sys
from pathlib import Path
from stoat_jobs._sqlite.store import SqliteStore
from tests.support.stored_jobs import stored_job
store = SqliteStore(Path({path!r}))
store.open()
store.write([stored_job(1)], [], [])

def in_child(act):
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            answer = act()
        except Exception as error:
            answer = f"{{type(error).__name__}}: {{error}}"
        os.write(writing, str(answer).encode())
        sys.exit()
    os.close(writing)
    os.wait()
    with open(reading) as file:
        return file.read()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
def test_a_forked_child_touches_nothing(path: Path) -> None:
    """It can neither write nor read, and its close leaves the parent's WAL alone."""
    with Another(_BEGINNING.format(path=str(path)), cwd=Path(__file__).parents[2]) as parent:
        for act in "store.write([stored_job(2)], [], [])", "store.read(['x'])":
            refused = parent.do(f"answer = in_child(lambda: {act})")
            assert "forked child" in refused
        wal = Path(f"{path}-wal").stat()
        assert parent.do("answer = in_child(store.close)") == "None"
        assert Path(f"{path}-wal").stat().st_ino == wal.st_ino
        assert parent.do("store.write([stored_job(2)], [], [])") is None
        parent.kill()
        parent.process.wait()
    store = SqliteStore(path)
    store.open()
    assert len(kept(store)) == 2
    store.close()
