"""The Litestar example: the files below a folder that have the same content."""

from __future__ import annotations

from pathlib import Path

import pytest
from litestar.testing import TestClient

from litestar_duplicates.app import create_app, find_duplicates, handlers
from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway


def test_find_duplicates_is_a_function(folder: Path) -> None:
    """The handler can be called without any queue, and finds the files that are the same."""
    assert find_duplicates(JobContext(), root=folder) == [["a.txt", "sub/c.txt"]]


def test_job_is_started_and_read(folder: Path) -> None:
    """A job that was started over HTTP is read over HTTP, with its result."""
    with TestClient(create_app(folder, InMemoryJobQueue())) as client:
        answer = client.post("/searches")
        assert answer.status_code == 202
        record = client.get(f"/jobs/{answer.json()['job_id']}").json()
    assert (record["status"], record["result"]) == ("completed", [["a.txt", "sub/c.txt"]])
    assert (record["progress"], record["message"]) == (1.0, "d.txt")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_job(method: str) -> None:
    """A job that is not known is 404, whatever is asked of it."""
    with TestClient(create_app(queue=InMemoryJobQueue())) as client:
        answer = client.request(method, "/jobs/unknown")
    assert (answer.status_code, answer.json()) == (404, {"detail": "no such job"})


async def test_progress_and_cancel(folder: Path, disk: SlowDisk) -> None:
    """A running job says how far it is, and ends without a result once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("c.txt")
    async with serving(create_app(folder, queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/searches")
    assert (running["status"], running["progress"], running["message"]) == ("running", 0.5, "b.md")
    assert (ended["status"], ended["result"], ended["progress"]) == ("cancelled", None, 0.75)


async def test_queue_is_on_the_app_while_it_runs() -> None:
    """``app.state.job_queue`` is there from startup to shutdown, again at each start."""
    app = create_app()
    for _ in range(2):
        async with serving(app):
            queue = app.state.job_queue
            assert isinstance(queue, AsyncioJobQueue)
            assert queue.started
            assert queue.app is app
        assert not hasattr(app.state, "job_queue")
        assert not queue.started
