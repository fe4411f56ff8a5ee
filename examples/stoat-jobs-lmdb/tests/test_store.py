"""The store by itself: what it keeps, how it grows, and what it does when the disk is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import lmdb
import pytest
from stoat_jobs_lmdb import LmdbStore

from stoat_jobs import JobResult, JobStatus
from stoat_jobs.backends import FinishedJob, StoredJob, StoreInUseError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(number: int, *, finished: int = 0, result: str = "") -> StoredJob:
    """Job *number*, live or the *finished*-th that has finished."""
    record = JobResult(
        job_id=f"job-{number}",
        job_type="nothing",
        status=JobStatus.COMPLETED if finished else JobStatus.PENDING,
        submitted_at=NOW,
        finished_at=NOW if finished else None,
    )
    return StoredJob(
        record=record,
        number=number,
        submitted=NOW.timestamp(),
        payload="" if finished else "{}",
        result=result,
        timeout=60,
        finish_number=finished,
    )


@pytest.fixture
def store(url: str) -> Iterator[LmdbStore]:
    """Return a store that is open."""
    store = LmdbStore(Path(url), sync=False)
    store.open()
    yield store
    store.close()


@pytest.mark.parametrize("again", [False, True])
def test_it_keeps_what_is_written(store: LmdbStore, again: bool) -> None:
    """New, changed and dropped jobs are in the store when ``write`` returns, and after a restart."""
    store.write([job(1), job(2), job(3), job(4)], [], [])
    done = job(2, finished=1, result="42")
    store.write([job(5)], [done, job(3, finished=2)], ["job-1"])
    store.write([], [], ["job-3", "unknown"])
    if again:
        store.close()
        store.open()
    assert list(store.live()) == [job(4), job(5)]
    assert [each.job_id for each in store.finished()] == ["job-2"]
    assert isinstance(next(iter(store.finished())), FinishedJob)
    assert list(store.read(["job-2", "unknown", "job-3", "job-5"])) == [done, job(5)]


def test_a_write_that_fails_writes_nothing(
    store: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If one job of a write cannot be kept, none of it is."""
    store.write([job(1)], [], [])
    too_long = job(3)
    too_long = too_long.model_copy(
        update={"record": too_long.record.model_copy(update={"job_id": "x" * 600})}
    )
    with pytest.raises(lmdb.BadValsizeError):
        store.write([job(2), too_long], [job(1, finished=1)], [])
    assert list(store.live()) == [job(1)]
    assert list(store.finished()) == []


def test_it_grows(store: LmdbStore) -> None:
    """More than LMDB's map had room for is kept, and read while the map grows."""
    large = f'"{"x" * 1_000_000}"'
    reader = store.read
    for number in range(1, 41):  # the map begins with 10 MiB
        store.write([job(number, finished=number, result=large)], [], [])
        assert len(reader([f"job-{number}"])) == 1
    assert len(list(store.finished())) == 40


@contextmanager
def a_full_disk(path: Path) -> Iterator[None]:
    """Let no file of this process become larger than *path* is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_passes(store: LmdbStore, url: str) -> None:
    """A write to a full disk raises and keeps nothing; when there is room again, writes succeed."""
    store.write([job(1)], [], [])
    large = f'"{"x" * 1_000_000}"'
    with a_full_disk(Path(url)), pytest.raises(lmdb.Error, match="File too large"):
        store.write([], [job(1, finished=1, result=large)], [])
    assert list(store.live()) == [job(1)]
    store.write([job(2)], [job(1, finished=1, result=large)], [])
    store.close()
    store.open()
    assert list(store.live()) == [job(2)]
    assert list(store.read(["job-1"])) == [job(1, finished=1, result=large)]


@pytest.mark.parametrize("link", [False, True])
def test_one_store_at_a_time(store: LmdbStore, url: str, link: bool) -> None:
    """A second store on the file is refused, by any name, and does not harm the first one's lock."""
    path = Path(url)
    if link:
        path = path.with_name("link")
        path.symlink_to(url)
    second = LmdbStore(path, sync=False)
    for _ in range(2):
        with pytest.raises(StoreInUseError, match="another queue has it open"):
            second.open()
        second.close()
    store.close()
    second.open()
    second.close()
