"""What a queue needs to start, how it fails without that, and what it leaves behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError
from stoat_jobs_sqlite import SqliteJobQueue, SqliteStore

from stoat_jobs import BackendError, JobHandlers, JobQueueSettings, available_backends, create_queue


def new_queue(path: Path) -> SqliteJobQueue:
    return SqliteJobQueue(JobHandlers(), JobQueueSettings(backend="sqlite", url=str(path)))


def test_it_is_found_by_its_name(url: str) -> None:
    """An application needs only settings that name the backend."""
    assert "sqlite" in [backend.name for backend in available_backends()]
    queue = create_queue(settings=JobQueueSettings(backend="sqlite", url=url))
    assert isinstance(queue, SqliteJobQueue)


@pytest.mark.parametrize("url", [None, ""])
def test_it_wants_a_path(url: str | None) -> None:
    """Without a path there is no queue, and the error names the setting."""
    with pytest.raises(BackendError, match="backend 'sqlite' needs `url`"):
        create_queue(settings=JobQueueSettings(backend="sqlite", url=url))


@pytest.mark.parametrize("options", [{"fsink": False}, {"fsync": "perhaps"}])
def test_options_are_checked(url: str, options: dict[str, object]) -> None:
    """An error names each option that is misspelt or has an invalid value."""
    settings = JobQueueSettings(backend="sqlite", url=url, options=options)
    with pytest.raises(ValidationError, match=r"options\.fs"):
        create_queue(settings=settings)


@pytest.mark.parametrize(("options", "synchronous"), [({}, 2), ({"fsync": False}, 1)])
def test_fsync_decides_what_a_power_cut_takes(
    url: str, options: dict[str, object], synchronous: int
) -> None:
    """SQLite waits for the disk at each change, or only from time to time."""
    settings = JobQueueSettings(backend="sqlite", url=url, options=options)
    store = SqliteJobQueue(None, settings).make_store()
    assert isinstance(store, SqliteStore)
    store.open()
    assert store._storage.conn.execute("pragma synchronous").fetchone() == (synchronous,)
    store.close()


def no_folder(folder: Path) -> Path:
    return folder / "missing" / "jobs.db"


def a_folder(folder: Path) -> Path:
    return folder


def no_database(folder: Path) -> Path:
    path = folder / "jobs.db"
    path.write_text("Dear diary, " * 100)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (no_folder, "there is no such folder"),
        (a_folder, "unable to open database file"),
        (no_database, "file is not a database"),
    ],
)
async def test_a_file_that_cannot_be_used(
    make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    """The start fails, and names the file and what is wrong with it."""
    path = make(tmp_path)
    with pytest.raises(BackendError) as caught:
        await new_queue(path).__aenter__()
    assert str(caught.value) == f"backend 'sqlite' cannot start: {path}: {reason}"


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make *path* read-only; root could still write, so switch to another user meanwhile."""
    path.chmod(0o444)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


async def test_a_file_that_is_read_only() -> None:
    """The start fails, instead of the first job."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "jobs.db")
        async with new_queue(path):
            pass
        with read_only(path), pytest.raises(BackendError, match="readonly") as caught:
            await new_queue(path).__aenter__()
        assert str(path) in str(caught.value)


async def test_a_start_that_failed_leaves_the_file_alone(url: str) -> None:
    """A queue that failed to start because of another one can start once that is closed."""
    second = new_queue(Path(url))
    async with new_queue(Path(url)):
        with pytest.raises(BackendError, match="another queue has it open"):
            await second.__aenter__()
    async with second:
        assert second.started


async def test_what_is_kept_no_more_leaves_the_file(url: str) -> None:
    """The file contains no more finished records than the queue, so that it does not grow."""
    handlers = JobHandlers()
    handlers.register("nothing", lambda ctx: None)
    settings = JobQueueSettings(backend="sqlite", url=url, max_results=2)
    async with SqliteJobQueue(handlers, settings) as queue:
        for _ in range(5):
            job_id = await queue.submit("nothing")
            await queue.wait(job_id)
        kept = {record.job_id for record in await queue.list_jobs()}
    store = SqliteStore(Path(url), fsync=True)
    store.open()
    assert {job.job_id for job in store.load()} == kept
    assert len(kept) == 2
    store.close()
