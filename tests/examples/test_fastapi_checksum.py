"""The FastAPI example: checksums of the files below a folder."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fastapi_checksum.app import checksum, create_app, handlers
from stoat_jobs import InMemoryJobQueue, JobContext

from ..support.serving import patient_queue, serving
from ..support.slow_disk import SlowDisk, stop_halfway

ONE_TWO = sha256(b"one\ntwo\n").hexdigest()


def test_checksum_is_a_function(folder: Path) -> None:
    """The handler can be called without any queue, and takes the files with the suffix."""
    sums = checksum(JobContext(), root=folder, suffix=".txt")
    assert list(sums) == ["a.txt", "sub/c.txt", "sub/d.txt"]
    assert (sums["a.txt"], sums["sub/c.txt"]) == (ONE_TWO, ONE_TWO)
    assert len(checksum(JobContext(), root=folder)) == 4


def test_job_is_started_and_read(folder: Path) -> None:
    """A job that was started over HTTP is read over HTTP, with its result."""
    with TestClient(create_app(folder, InMemoryJobQueue())) as client:
        answer = client.post("/checksums", params={"suffix": "a.txt"})
        assert answer.status_code == 202
        record = client.get(f"/jobs/{answer.json()['job_id']}").json()
    assert (record["status"], record["result"]) == ("completed", {"a.txt": ONE_TWO})
    assert (record["progress"], record["message"]) == (1.0, "a.txt")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_job(method: str) -> None:
    """A job that is not known is 404, whatever is asked of it."""
    with TestClient(create_app(queue=InMemoryJobQueue())) as client:
        answer = client.request(method, "/jobs/unknown")
    assert (answer.status_code, answer.json()["title"]) == (404, "Job not found")


async def test_progress_and_cancel(folder: Path, disk: SlowDisk) -> None:
    """A running job says how far it is, and ends without a result once it is cancelled."""
    queue = patient_queue(handlers)
    disk.hold("c.txt")
    async with serving(create_app(folder, queue)) as client:
        running, ended = await stop_halfway(client, queue, disk, "/checksums")
    assert (running["status"], running["progress"], running["message"]) == ("running", 0.5, "b.md")
    assert (ended["status"], ended["result"], ended["progress"]) == ("cancelled", None, 0.5)
