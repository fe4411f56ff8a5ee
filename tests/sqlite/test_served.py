"""A real server on a file, which is told to stop, or killed, and started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ..support.servers.commands import Address, Launch
from ..support.servers.running import ServerProcess

ENDS: dict[str, Callable[[ServerProcess], None]] = {
    "SIGTERM": ServerProcess.terminate,
    "SIGKILL": ServerProcess.kill,
}
EACH_END = pytest.mark.parametrize("end", ENDS)


@pytest.fixture
def launch(path: Path) -> Launch:
    """A uvicorn whose queue has two slots."""
    settings = {"backend": "sqlite", "url": str(path), "concurrency": 2, "drain_timeout": 0.1}
    return Launch("uvicorn", settings=settings)


@EACH_END
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_goes_on_where_another_one_ended(
    launch: Launch, tmp_path: Path, end: str, loop: str
) -> None:
    """After SIGTERM and after SIGKILL the next server knows every job, and runs what had not ended."""
    launch = replace(launch, loop=loop)
    with Address() as address:
        with ServerProcess(launch, address, tmp_path) as first:
            first.serve()
            (worker,) = first.workers
            (done,) = first.begin("quick")
            first.until("job_completed", job_id=done)
            running = first.begin("patient", "busy")
            waiting = [worker.submit("quick") for _ in range(3)]
            ENDS[end](first)
            first.finish()
            assert first.complaints == ""
            assert first.log.has("worker_stopped") == (end == "SIGTERM")
        with ServerProcess(launch, address, tmp_path) as second:
            second.serve()
            (worker,) = second.workers
            for job_id in running:
                if not second.log.has("job_started", job_id=job_id):
                    second.until("job_started", job_id=job_id)
                assert worker.status(job_id) == (200, "running")
                assert second.log.has("job_redelivered", job_id=job_id) == (end == "SIGKILL")
            assert worker.status(done) == (200, "completed")
            assert {worker.status(job_id) for job_id in waiting} == {(200, "pending")}
            second.terminate()
            second.finish()
            assert second.complaints == ""
        wider = replace(launch, settings={**launch.settings, "concurrency": 3})
        with ServerProcess(wider, address, tmp_path) as third:
            third.serve()
            for job_id in waiting:
                if not third.log.has("job_completed", job_id=job_id):
                    third.until("job_completed", job_id=job_id)
            third.terminate()
            third.finish()
            assert third.complaints == ""


@EACH_END
def test_nothing_but_the_lost_jobs_is_in_the_log(launch: Launch, tmp_path: Path, end: str) -> None:
    """Over a restart the log has no error, and no warning but for each job that ran at a SIGKILL."""
    with Address() as address:
        for _ in range(2):
            with ServerProcess(launch, address, tmp_path) as server:
                server.serve()
                server.begin("patient")
                ENDS[end](server)
                server.finish()
        with ServerProcess(launch, address, tmp_path) as server:
            server.serve()
            server.terminate()
            server.finish()
            loud = [
                line["event"] for line in server.log.lines if line["level"] in {"WARNING", "ERROR"}
            ]
    assert loud == (["job_redelivered"] * 2 if end == "SIGKILL" else []), server.log.text()


def test_a_second_server_says_who_has_the_file(launch: Launch, tmp_path: Path) -> None:
    """A server whose file another one has does not start, and says which process that is."""
    (tmp_path / "second").mkdir()
    with Address() as one, Address() as other:
        with ServerProcess(launch, one, tmp_path) as first:
            first.serve()
            (worker,) = first.workers
            with ServerProcess(launch, other, tmp_path / "second") as second:
                assert second.finish() != 0
            assert f"{worker.pid}" in second.log.text()
            assert "jobs.db" in second.log.text()
            worker.submit("quick")
            first.until("job_completed")
            first.terminate()
            first.finish()
