"""The example without a framework: the lines of the files below a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from asgi_lines.app import count_lines, create_app, handlers
from stoat_jobs import InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway


def test_count_lines_is_a_function(folder: Path) -> None:
    """The handler can be called without any queue, and counts the lines of every file."""
    assert count_lines(JobContext(), root=folder) == 8


async def test_job_is_started_and_read(folder: Path) -> None:
    """A job that was started over HTTP is read over HTTP, with its result."""
    async with serving(create_app(folder, InMemoryJobQueue())) as client:
        answer = await client.post("/counts")
        assert answer.status_code == 202
        record = (await client.get(f"/jobs/{answer.json()['job_id']}")).json()
    assert (record["status"], record["result"]) == ("completed", 8)
    assert (record["progress"], record["message"]) == (1.0, "d.txt")


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/jobs/unknown", "no such job"),
        ("DELETE", "/jobs/unknown", "no such job"),
        ("GET", "/counts", "no such page"),
    ],
)
async def test_what_is_not_there(method: str, path: str, detail: str) -> None:
    """A job or a page that is not known is 404, whatever is asked of it."""
    async with serving(create_app(queue=InMemoryJobQueue())) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": detail})


async def test_progress_and_cancel(folder: Path, disk: SlowDisk) -> None:
    """A running job says how far it is, and ends without a result once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("c.txt")
    async with serving(create_app(folder, queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/counts")
    assert (running["status"], running["progress"], running["message"]) == ("running", 0.5, "b.md")
    assert (ended["status"], ended["result"], ended["progress"]) == ("cancelled", None, 0.5)
