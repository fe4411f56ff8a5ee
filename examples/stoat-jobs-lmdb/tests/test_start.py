"""What a queue needs to start, how it fails without that, and what it leaves behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError
from stoat_jobs_lmdb import LmdbJobQueue, LmdbStore

from stoat_jobs import BackendError, JobHandlers, JobQueueSettings, available_backends, create_queue


def new_queue(path: Path) -> LmdbJobQueue:
    return LmdbJobQueue(JobHandlers(), JobQueueSettings(backend="lmdb", url=str(path)))


def test_it_is_found_by_its_name(url: str) -> None:
    """An application needs only settings that name the backend."""
    assert "lmdb" in [backend.name for backend in available_backends()]
    queue = create_queue(settings=JobQueueSettings(backend="lmdb", url=url))
    assert isinstance(queue, LmdbJobQueue)


@pytest.mark.parametrize("url", [None, ""])
def test_it_wants_a_path(url: str | None) -> None:
    """Without a path there is no queue, and the error names the setting."""
    with pytest.raises(BackendError, match="backend 'lmdb' needs `url`"):
        create_queue(settings=JobQueueSettings(backend="lmdb", url=url))


@pytest.mark.parametrize("options", [{"sink": False}, {"sync": "perhaps"}])
def test_options_are_checked(url: str, options: dict[str, object]) -> None:
    """An error names each option that is misspelt or has an invalid value."""
    settings = JobQueueSettings(backend="lmdb", url=url, options=options)
    with pytest.raises(ValidationError, match=r"options\.s"):
        create_queue(settings=settings)


@pytest.mark.parametrize("sync", [True, False])
def test_sync_decides_what_a_power_cut_takes(url: str, sync: bool) -> None:
    """LMDB waits for the disk at each change, or never."""
    settings = JobQueueSettings(backend="lmdb", url=url, options={"sync": sync})
    store = LmdbJobQueue(None, settings).make_store()
    assert isinstance(store, LmdbStore)
    store.open()
    assert store._env.flags()["sync"] is sync
    store.close()


async def test_only_its_owner_reads_the_file(url: str) -> None:
    """Payloads and results are in it as plain text, so it has mode 0600."""
    async with new_queue(Path(url)):
        assert Path(url).stat().st_mode & 0o777 == 0o600


def no_folder(folder: Path) -> Path:
    return folder / "missing" / "jobs.lmdb"


def a_folder(folder: Path) -> Path:
    return folder


def not_lmdb(folder: Path) -> Path:
    path = folder / "jobs.lmdb"
    path.write_text("Dear diary, " * 100)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (no_folder, "there is no such folder"),
        (a_folder, "Is a directory"),
        (not_lmdb, "MDB_INVALID: File is not an LMDB file"),
    ],
)
async def test_a_file_that_cannot_be_used(
    make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    """The start fails, and names the file and what is wrong with it."""
    path = make(tmp_path)
    with pytest.raises(BackendError) as caught:
        await new_queue(path).__aenter__()
    assert str(caught.value) == f"backend 'lmdb' cannot start: {path}: {reason}"


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
        path = Path(folder, "jobs.lmdb")
        async with new_queue(path):
            pass
        with read_only(path), pytest.raises(BackendError, match="Permission denied") as caught:
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
    settings = JobQueueSettings(backend="lmdb", url=url, max_results=2)
    async with LmdbJobQueue(handlers, settings) as queue:
        for _ in range(5):
            job_id = await queue.submit("nothing")
            await queue.wait(job_id)
        kept = {record.job_id for record in await queue.list_jobs()}
    store = LmdbStore(Path(url), sync=True)
    store.open()
    assert {job.job_id for job in store.finished()} == kept
    assert len(kept) == 2
    store.close()
