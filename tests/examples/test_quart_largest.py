"""The Quart example: the largest files below a folder."""

from __future__ import annotations

from pathlib import Path

from quart_largest.app import create_app, handlers, largest
from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway


async def test_largest_is_a_function(folder: Path) -> None:
    """The handler can be called without any queue, and names the largest file first."""
    found = await largest(JobContext(), root=folder, count=2)
    assert list(found.items())[0] == (str(folder / "sub" / "d.txt"), 14)
    assert len(found) == 2


async def test_job_is_started_and_read(folder: Path) -> None:
    """A job that was started over HTTP is read over HTTP, with its result."""
    async with create_app(folder, InMemoryJobQueue()).test_app() as served:
        client = served.test_client()
        answer = await client.post("/searches")
        assert answer.status_code == 202
        job_id = (await answer.get_json())["job_id"]
        record = await (await client.get(f"/jobs/{job_id}")).get_json()
    assert (record["status"], len(record["result"])) == ("completed", 4)
    assert (record["progress"], record["message"]) == (1.0, "2 of 2 folders")


async def test_unknown_job() -> None:
    """A job that is not known is 404, whatever is asked of it."""
    async with create_app(queue=InMemoryJobQueue()).test_app() as served:
        client = served.test_client()
        for answer in (await client.get("/jobs/unknown"), await client.delete("/jobs/unknown")):
            assert answer.status_code == 404
            assert await answer.get_json() == {"detail": "no such job"}


async def test_progress_and_cancel(folder: Path, disk: SlowDisk) -> None:
    """A running job says how far it is, and ends without a result once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("c.txt", "stat")
    async with serving(create_app(folder, queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/searches")
    assert (running["status"], running["progress"]) == ("running", 0.5)
    assert running["message"] == "1 of 2 folders"
    assert (ended["status"], ended["result"], ended["progress"]) == ("cancelled", None, 0.5)


async def test_queue_lives_as_long_as_the_app() -> None:
    """Startup starts the queue that handlers see with their app, and shutdown stops it."""
    app = create_app()
    async with app.test_app():
        queue = app.extensions["job_queue"]
        assert isinstance(queue, AsyncioJobQueue)
        assert queue.started
        assert queue.app is app
    assert not queue.started
