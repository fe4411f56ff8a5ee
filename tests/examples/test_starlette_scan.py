"""The Starlette example: what the files below a folder weigh."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from starlette_scan.app import Report, create_app, handlers, scan
from stoat_jobs import InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway


def test_scan_is_a_function(folder: Path) -> None:
    """The handler can be called without any queue, and weighs every file."""
    assert scan(JobContext(), root=folder) == Report(
        files=4, bytes_by_suffix={".txt": 30, ".md": 6}
    )


def test_job_is_started_and_read(folder: Path) -> None:
    """A job that was started over HTTP is read over HTTP, with its result."""
    with TestClient(create_app(folder, InMemoryJobQueue())) as client:
        answer = client.post("/scans")
        assert answer.status_code == 202
        record = client.get(f"/jobs/{answer.json()['job_id']}").json()
    assert record["status"] == "completed"
    assert record["result"] == {"files": 4, "bytes_by_suffix": {".txt": 30, ".md": 6}}
    assert (record["progress"], record["message"]) == (1.0, "5 of 5")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_job(method: str) -> None:
    """A job that is not known is 404, whatever is asked of it."""
    with TestClient(create_app(queue=InMemoryJobQueue())) as client:
        answer = client.request(method, "/jobs/unknown")
    assert (answer.status_code, answer.json()["title"]) == (404, "Job not found")


async def test_progress_and_cancel(folder: Path, disk: SlowDisk) -> None:
    """A running job says how far it is, and keeps what it has once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("c.txt", "stat")
    async with serving(create_app(folder, queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/scans")
    assert (running["status"], running["progress"]) == ("running", 0.6)
    assert running["message"] == "3 of 5"
    assert (ended["status"], ended["cancel_requested"]) == ("cancelled", True)
    assert ended["result"]["files"] == 3
