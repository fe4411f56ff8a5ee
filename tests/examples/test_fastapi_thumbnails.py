"""The example with a lifespan of its own: thumbnails of the pictures that it paints."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fastapi_thumbnails.app import create_app
from fastapi_thumbnails.pictures import handlers, paint, thumbnails
from stoat_jobs import InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway

SMALL = [f"small-{number}.png" for number in range(8)]


def test_thumbnails_is_a_function(tmp_path: Path) -> None:
    """The handler can be called with an app that has no more than a folder."""
    paint(tmp_path, count=2)
    app = SimpleNamespace(state=SimpleNamespace(folder=tmp_path))
    assert thumbnails(JobContext(app=app), width=64) == SMALL[:2]
    with Image.open(tmp_path / SMALL[0]) as picture:
        assert picture.size == (64, 48)


def test_job_is_started_and_read() -> None:
    """A job that was started over HTTP is read over HTTP, and so is what it made."""
    with TestClient(create_app(InMemoryJobQueue())) as client:
        assert client.get("/thumbnails/7").status_code == 404
        answer = client.post("/thumbnails", params={"width": 80})
        assert answer.status_code == 202
        record = client.get(f"/jobs/{answer.json()['job_id']}").json()
        with Image.open(io.BytesIO(client.get("/thumbnails/7").content)) as picture:
            assert picture.size == (80, 60)
    assert (record["status"], record["result"]) == ("completed", SMALL)
    assert (record["progress"], record["message"]) == (1.0, "7.png")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_job(method: str) -> None:
    """A job that is not known is 404, whatever is asked of it."""
    with TestClient(create_app(InMemoryJobQueue())) as client:
        answer = client.request(method, "/jobs/unknown")
    assert (answer.status_code, answer.json()["title"]) == (404, "Job not found")


async def test_progress_and_cancel(disk: SlowDisk) -> None:
    """A running job says how far it is, and ends without a result once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("4.png")
    async with serving(create_app(queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/thumbnails")
    assert (running["status"], running["progress"], running["message"]) == ("running", 0.5, "3.png")
    assert (ended["status"], ended["result"], ended["progress"]) == ("cancelled", None, 0.625)


async def test_folder_outlives_the_queue(disk: SlowDisk) -> None:
    """The app's own lifespan ends after ours: a job that is waited for still has its folder."""
    queue = patient_queue(handlers)
    app = create_app(queue)
    disk.hold("4.png")
    stop = asyncio.Event()
    life = asyncio.create_task(_live(app, stop))
    await disk.until_reached()
    stop.set()
    while queue.started:
        await asyncio.sleep(0)
    disk.released.set()
    await life
    [record] = await queue.list_jobs()
    assert (record.status, record.result) == ("completed", SMALL)
    assert not app.state.folder.exists()


async def _live(app: object, stop: asyncio.Event) -> None:
    async with serving(app) as client:
        await client.post("/thumbnails")
        await stop.wait()
