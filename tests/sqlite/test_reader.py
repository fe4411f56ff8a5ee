"""What a command line may do to a file that a queue has open: read it, and nothing else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import BackendError, JobContext, JobHandlers, JobNotFoundError, JobQueueSettings
from stoat_jobs._backends.job import place_of_stamp
from stoat_jobs._sqlite import schema
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import JobReader, cursor_at
from stoat_jobs.sqlite import SqliteJobQueue

from ..support.stored_jobs import changed, finished_job, stored_job

ROOT = Path(__file__).parents[2]


def reader_of(path: Path) -> JobReader:
    return SqliteJobQueue.open_reader(JobQueueSettings(backend="sqlite", url=str(path)))


def listed(path: Path, **wanted: Any) -> list[str]:
    with reader_of(path) as reader:
        return [record.job_id for record in reader.list_jobs(**wanted)]


def test_it_reads_beside_a_holder(path: Path, store: SqliteStore) -> None:
    """What is committed is read at once, while the file is open elsewhere."""
    job = stored_job(1, metadata={"user": "ada"})
    with reader_of(path) as reader:
        assert list(reader.list_jobs()) == []
        store.write([job], [], [])
        assert reader.get_result(job.job_id) == job.record
        assert list(reader.list_jobs()) == [job.record]
        store.write([], [], [job.job_id])
        with pytest.raises(JobNotFoundError):
            reader.get_result(job.job_id)


def test_pages_are_those_of_the_queue(path: Path, store: SqliteStore) -> None:
    """Each job is on one page, newest first, and the last page has no cursor."""
    jobs = [stored_job(number) for number in range(1, 8)]
    store.write(jobs, [], [])
    pages, cursor = list[list[str]](), None
    with reader_of(path) as reader:
        while not pages or cursor:
            page = reader.list_jobs(limit=3, before=cursor)
            pages.append([record.job_id for record in page])
            cursor = page.cursor
        assert len(reader.list_jobs(limit=0)) == 0
    ids = [job.job_id for job in reversed(jobs)]
    assert pages == [ids[:3], ids[3:6], ids[6:]]


def test_a_cursor_of_the_queue_is_one_here(path: Path, store: SqliteStore) -> None:
    """A page that an application has shown goes on where it ended."""
    first, second = jobs = [stored_job(1), stored_job(2)]
    store.write(jobs, [], [])
    assert listed(path, before=cursor_at(place_of_stamp(second.submitted))) == [first.job_id]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [4, 3, 2, 1]),
        ({"status": "failed"}, [3]),
        ({"status": ["failed", "pending"]}, [3, 1]),
        ({"job_type": "mail"}, [4, 3]),
        ({"job_type": ["mail", "none"], "status": "completed"}, [4]),
        ({"metadata": {"user": "ada"}}, [3, 1]),
        ({"metadata": {"user": "ada"}, "limit": 1}, [3]),
        ({"metadata": {"n": 1}, "limit": 1}, [1]),
        ({"metadata": {"user": 1}}, []),
        ({"job_type": "\ud800"}, []),
    ],
)
def test_filters(
    path: Path, store: SqliteStore, wanted: dict[str, Any], numbers: list[int]
) -> None:
    """They mean what they mean to the queue."""
    ada = {"user": "ada"}
    jobs = [
        stored_job(1, metadata={**ada, "n": 1}),
        finished_job(2),
        finished_job(3, status="failed", error="no", job_type="mail", metadata=ada),
        finished_job(4, job_type="mail"),
    ]
    store.write(jobs, [], [])
    assert listed(path, **wanted) == [jobs[number - 1].job_id for number in numbers]


def _double(ctx: JobContext, n: int) -> int:
    return 2 * n


def _fail(ctx: JobContext) -> None:
    raise ValueError("\0 no")


async def test_it_shows_what_the_queue_shows(path: Path) -> None:
    """Of every job the same record, on the same page, with the same cursor."""
    handlers = JobHandlers()
    handlers.register("double", _double, keep_payload=True)
    handlers.register("fail", _fail)
    settings = JobQueueSettings(backend="sqlite", url=str(path))
    filters: list[dict[str, Any]] = [
        {},
        {"status": "failed"},
        {"status": ["completed", "pending"], "job_type": "double"},
        {"metadata": {"n": 3}},
        {"metadata": {"n": 3}, "job_type": ["fail"]},
    ]
    async with SqliteJobQueue(handlers, settings) as queue:
        for n in range(6):
            done = await queue.submit("double", {"n": n}, metadata={"n": n, "at": [n]}, key=str(n))
            await queue.wait(done)
            await queue.wait(await queue.submit("fail", metadata={"n": n / 2}))
        await queue.submit("fail", delay=1000)
        with reader_of(path) as reader:
            for wanted, limit in product(filters, [0, 1, 4, 100]):
                cursor = None
                for _ in range(20):
                    page = await queue.list_jobs(**wanted, limit=limit, before=cursor)
                    assert reader.list_jobs(**wanted, limit=limit, before=cursor) == page
                    cursor = page.cursor
                assert cursor is None or limit < 4
            assert reader.get_result(done) == await queue.get_result(done)


@pytest.mark.parametrize("wanted", [{"limit": -1}, {"status": "done"}, {"before": "x"}])
def test_wrong_arguments(path: Path, store: SqliteStore, wanted: dict[str, Any]) -> None:
    """They are errors of the same kind as the queue's."""
    with reader_of(path) as reader, pytest.raises(ValueError, match=r"limit|status|cursor"):
        reader.list_jobs(**wanted)


@pytest.mark.parametrize("job_id", ["", "x", "\ud800", None, 1 << 80, object()])
def test_no_such_job(path: Path, store: SqliteStore, job_id: Any) -> None:
    """Whatever is asked for, it is not found."""
    with reader_of(path) as reader, pytest.raises(JobNotFoundError):
        reader.get_result(job_id)


def test_results_are_json(path: Path, store: SqliteStore) -> None:
    """A finished job has its result, and its payload if that was kept; a live one has neither."""
    live = stored_job(1, payload='{"secret": 1}')
    done = finished_job(2).model_copy(update={"result": '[1, "\\u0000"]'})
    kept = finished_job(3).model_copy(update={"payload": '{"n": 1}', "result": "null"})
    store.write([live, done, kept], [], [])
    with reader_of(path) as reader:
        records = [reader.get_result(job.job_id) for job in (live, done, kept)]
        assert list(reader.list_jobs()) == records[::-1]
    assert [(each.result, each.payload) for each in records] == [
        (None, None),
        ([1, "\0"], None),
        (None, {"n": 1}),
    ]


def test_it_changes_nothing(path: Path, store: SqliteStore) -> None:
    """Nothing that is sent through its connection can change a row."""
    store.write([stored_job(1)], [], [])
    with reader_of(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("delete from job")  # type: ignore[attr-defined]


def test_it_holds_no_snapshot(path: Path, store: SqliteStore) -> None:
    """Between two calls, and after a list that ended early, all of the WAL can be checkpointed."""
    store.write([stored_job(number) for number in range(1, 300)], [], [])
    with reader_of(path) as reader:
        reader.list_jobs(limit=1, metadata={})
        reader.list_jobs(limit=1)
        busy, _, _ = store._writer.execute("pragma wal_checkpoint(truncate)").fetchone()
    assert not busy


def no_file(path: Path) -> None:
    pass


def a_text(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


def nothing(path: Path) -> None:
    path.touch()


def another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table job (job_id)")
        connection.commit()


def a_newer_ones(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"pragma application_id = {schema.APPLICATION_ID}")
        connection.execute("pragma user_version = 99")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (no_file, "there is no such file"),
        (a_text, "is damaged, or is not a database"),
        (nothing, "is empty; no queue has been started with it yet"),
        (another_programs, "belongs to another program"),
        (a_newer_ones, "was written by a newer version of stoat-jobs"),
    ],
)
def test_what_it_cannot_read(path: Path, make: Any, reason: str) -> None:
    """One line says why, and the file is as it was, or still not there."""
    make(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(BackendError) as caught, reader_of(path):
        pass
    assert str(caught.value).startswith(f"backend 'sqlite' cannot read {path}: {reason}")
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before


def test_an_older_version(path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was not brought up to date yet is refused, and left alone."""
    monkeypatch.setattr("stoat_jobs._sqlite.reader.STEPS", (*schema.STEPS, ()))
    with pytest.raises(BackendError, match="by an older version"), reader_of(path):
        pass


def test_a_file_system_that_is_shared(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, as SQLite would harm the holder there, unless an option says it is none."""

    def refuse(path: Path) -> None:
        raise OSError(f"{path}: is on nfs")

    monkeypatch.setattr("stoat_jobs._sqlite.reader.check_file_system", refuse)
    with pytest.raises(BackendError, match=f"cannot read {path}: is on nfs"), reader_of(path):
        pass
    options = {"unsafe_filesystem": True}
    settings = JobQueueSettings(backend="sqlite", url=str(path), options=options)
    with SqliteJobQueue.open_reader(settings) as reader:
        assert list(reader.list_jobs()) == []


def test_a_busy_file(path: Path, store: SqliteStore) -> None:
    """A holder that is in the middle of a transaction keeps nobody from reading."""
    store.write([job := stored_job(1)], [], [])
    store._writer.execute("begin immediate")
    store._writer.execute("delete from job")
    assert listed(path) == [job.job_id]
    store._writer.execute("rollback")


def test_a_damaged_row(path: Path, store: SqliteStore) -> None:
    """A value that no queue wrote is an error in one line."""
    store.write([job := stored_job(1)], [], [])
    store._writer.execute("update job set metadata = '{'")
    with reader_of(path) as reader:
        with pytest.raises(BackendError, match="is damaged"):
            reader.list_jobs()
        with pytest.raises(BackendError, match="is damaged"):
            reader.get_result(job.job_id)


def killed_holder(path: Path, visits: int) -> list[str]:
    """What a holder acknowledged until it was killed, visited *visits* times meanwhile."""
    command = [sys.executable, "-m", "tests.support.stored_jobs", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        for _ in range(visits):
            listed(path, limit=1)
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout
    return [line.strip() for line in lines if line.endswith("\n")]


def test_a_killed_holder_loses_nothing_to_a_visitor(path: Path) -> None:
    """Who opens and closes the file, before and after a kill, takes no acknowledged job with it.

    Also if nothing tells SQLite that somebody else has it open.
    """
    acknowledged = list[str]()
    for _ in range(3):
        acknowledged += killed_holder(path, visits=30)
        listed(path, limit=1)
    store = SqliteStore(path)
    store.open()
    kept = {job.job_id for job in store.live()}
    store.close()
    assert len(acknowledged) > 90
    assert set(acknowledged) <= kept


def test_a_job_that_changes_while_it_is_read(path: Path, store: SqliteStore) -> None:
    """A list is of one moment: what is committed while it is read is not in it."""
    jobs = [stored_job(number) for number in range(1, 250)]
    store.write(jobs, [], [])
    with reader_of(path) as reader:
        original = reader._fetch  # type: ignore[attr-defined]

        def fetch(*arguments: Any) -> Any:
            rows = original(*arguments)
            store.write([], [changed(jobs[0], record={"progress": 0.5})], [])
            return rows

        reader._fetch = fetch  # type: ignore[attr-defined]
        oldest = list(reader.list_jobs(limit=1000))[-1]
    assert oldest.progress is None
