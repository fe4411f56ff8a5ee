"""What the store keeps, and how it is read and written."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoat_jobs import JobStatus
from stoat_jobs._sqlite import connections
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoredJob

from ..support.stored_jobs import (
    COMPLETED,
    RUNNING,
    changed,
    finished_job,
    kept,
    stored_job,
    wal_size,
)


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
    assert (list(store.finished()), store.read([first.job_id])) == ([], [])
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


def test_a_live_job_keeps_its_payload(store: SqliteStore) -> None:
    """Also if it changes without one: it may have to run again."""
    job = stored_job(1, payload='{"n": 1}')
    store.write([job], [], [])
    running = changed(job, record=RUNNING)
    store.write([], [running.model_copy(update={"payload": ""})], [])
    assert kept(store) == [running]


def test_many_are_read_and_dropped_at_once(store: SqliteStore) -> None:
    """More ids than a statement of an older SQLite may have are no error."""
    jobs = [finished_job(number) for number in range(1, 1_201)]
    store.write(jobs, [], [])
    store._reader.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
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


@settings(deadline=None, max_examples=40)
@given(writes=st.lists(st.dictionaries(st.integers(1, 6), st.booleans(), max_size=6), max_size=8))
def test_any_writes(writes: list[dict[int, bool]]) -> None:
    """Whatever is written, and in whatever order, the file has what a dict would have."""
    expected = dict[int, StoredJob]()
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder, "jobs.db"), synchronous="normal")
        for steps in writes:
            store.open()
            store.write(*parts(expected, steps))
            ids = [job.job_id for job in expected.values()]
            found = store.read(ids)
            assert sorted(found, key=attrgetter("number")) == [
                job for _, job in sorted(expected.items())
            ]
            live = [job for job in found if job.record.status is not JobStatus.COMPLETED]
            assert kept(store) == sorted(live, key=attrgetter("number"))
            assert len(list(store.finished())) == len(found) - len(live)
            store.close()


def parts(
    jobs: dict[int, StoredJob], steps: dict[int, bool]
) -> tuple[list[StoredJob], list[StoredJob], list[str]]:
    """What each step makes of *jobs*: a new one, one that starts or ends, or one that goes."""
    new, become, gone = list[StoredJob](), list[StoredJob](), list[str]()
    for number, goes in steps.items():
        job = jobs.get(number)
        if job is None:
            jobs[number] = stored_job(number, payload="[1]")
            new.append(jobs[number])
        elif goes:
            gone.append(jobs.pop(number).job_id)
        else:
            ends = job.record.status is not JobStatus.PENDING
            ended = changed(job, record=COMPLETED, payload="", result="[2]", finish_number=number)
            jobs[number] = ended if ends else changed(job, record=RUNNING, deliveries=1)
            become.append(jobs[number])
    return new, become, gone
