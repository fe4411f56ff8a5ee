"""A real uvicorn that is told to stop in the middle of its jobs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .running import ENDED, UvicornProcess

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])

Start = Callable[..., UvicornProcess]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a uvicorn; its stderr goes to a file."""

    def start(app: str = "with_queue") -> UvicornProcess:
        return UvicornProcess(f"served:{app}", tmp_path / "stderr.txt")

    return start


def begin(server: UvicornProcess, *job_types: str) -> list[str]:
    """Submit one job of each type and see it start."""
    job_ids = [server.submit(job_type) for job_type in job_types]
    for job_type in job_types:
        if ("job_started", job_type, None) not in server.events("job_started"):
            server.until("job_started", job_type=job_type)
    return job_ids


@SIGNALS
def test_signal_in_the_middle_of_jobs(start: Start, number: signal.Signals) -> None:
    """The process ends, and every job was settled: done, waiting, async, sync, and deaf ones."""
    with start() as server:
        done = server.submit("quick")
        server.until("job_completed", job_id=done)
        begin(server, "patient", "busy", "deaf", "stuck")
        server.submit("quick")
        server.send(number)
        server.finish()
        assert server.unsettled() == set()
        assert server.events("job_completed") == [("job_completed", "quick", None)]
        ends = server.events(*ENDED)[1:]
        assert ends[0] == ("job_cancelled", "quick", "Shutdown")
        assert sorted(ends[1:]) == [
            ("job_cancelled", job_type, "Shutdown")
            for job_type in ("busy", "deaf", "patient", "stuck")
        ]


@SIGNALS
def test_log_of_a_stop(start: Start, number: signal.Signals) -> None:
    """The log tells the stop in order, names what was cut off, and has no traceback."""
    with start() as server:
        begin(server, "patient", "busy", "deaf", "stuck")
        server.send(number)
        server.finish()
        abandoned = sorted(server.events("job_abandoned"))
        assert abandoned == [
            ("job_abandoned", "deaf", "Shutdown"),
            ("job_abandoned", "stuck", "Shutdown"),
        ]
        ends = [n for n, line in enumerate(server.lines) if line["event"] in ENDED]
        assert server.position("queue_draining") < min(ends)
        assert max(ends) < server.position("worker_stopped")
        assert server.position("worker_stopped") < server.position("Application shutdown complete.")
        assert [line for line in server.lines if "traceback" in line] == []
        assert server.complaints == ""


@SIGNALS
def test_exit_code_is_the_servers(start: Start, number: signal.Signals) -> None:
    """The queue changes nothing of how the process ends: same code as without one."""
    codes = []
    for app in ("without_queue", "with_queue"):
        with start(app) as server:
            if app == "with_queue":
                begin(server, "patient", "stuck")
            server.send(number)
            codes.append(server.finish())
    assert codes[0] == codes[1]


def test_forced_stop(start: Start) -> None:
    """A second Ctrl-C, which skips the app's shutdown, settles every job and starts none."""
    with start() as server:
        running = begin(server, "patient", "busy", "deaf", "stuck")
        server.submit("quick")
        server.walk_away_from(f"/wait/{running[0]}")
        server.send(signal.SIGINT)
        server.until("Waiting for background tasks to complete")
        server.send(signal.SIGINT)
        server.finish()
        assert server.unsettled() == set()
        assert ("job_started", "quick", None) not in server.events("job_started")
        ended = [job_type for _, job_type, _ in server.events(*ENDED)]
        assert sorted(map(str, ended)) == ["busy", "deaf", "patient", "quick", "stuck"]
        assert max(n for n, line in enumerate(server.lines) if line["event"] in ENDED) < (
            server.position("worker_stopped")
        )
