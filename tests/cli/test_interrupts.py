"""Ctrl-C and SIGTERM, at every stage of `stoat-jobs demo`."""

from __future__ import annotations

import fcntl
import re
import signal
from pathlib import Path

import httpx
import pytest

from .running import ENDLESS_BYTES, Command, Start

Serving = tuple[Command, str, str]

EXIT_CODES = [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]


@pytest.mark.parametrize(("signum", "name", "exit_code"), EXIT_CODES)
def test_an_interrupt_while_starting_ends_the_demo(
    start: Start, endless: Path, signum: signal.Signals, name: str, exit_code: int
) -> None:
    """A signal after the first line, before the server is up, ends the demo without a traceback."""
    command = start("demo", endless)
    command.read_until("A web app reads")
    command.interrupt(signum)
    code, out, err = command.finish()
    assert code == exit_code
    assert "Traceback" not in err
    assert f"ended by {name}" in err or f"{name}: job cancelled" in out


@pytest.mark.parametrize(("signum", "name", "exit_code"), EXIT_CODES)
def test_an_interrupt_cancels_the_job(
    start: Start, endless: Path, signum: signal.Signals, name: str, exit_code: int
) -> None:
    """A signal in the middle of the scan cancels the job through the API and says so."""
    command = start("demo", endless)
    command.read_until("0%")
    command.interrupt(signum)
    code, out, err = command.finish()
    assert (code, err) == (exit_code, "")
    assert re.search(rf"DELETE /jobs/id {name}: job cancelled \([01] of 2 files\)\n", out)
    assert "GET /ping       meanwhile answered" in out


def test_an_interrupt_ends_a_report_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    """A signal ends the demo also while its output waits for a reader that has stopped."""
    for number in range(20):
        folder = tmp_path / "/".join([f"{number:03}" + "x" * 200] * 10)
        folder.mkdir(parents=True)
        (folder / "file").write_text("the same")
    command = start("demo", tmp_path)
    fcntl.fcntl(command.stdout, fcntl.F_SETPIPE_SZ, 4096)
    command.read_until("20 files, ")
    command.interrupt()
    assert command.finish_unread() == (130, "stoat-jobs demo: ended by Ctrl-C\n")


@pytest.fixture
def serving(start: Start, tree: Path) -> Serving:
    """A demo that has reported and serves on, its address, and its job's path."""
    command = start("demo", "--serve", tree)
    command.read_until("The server stays until Ctrl-C")
    url, _, job_id = command.read_until("/jobs/").split()[-1].partition("/jobs/")
    command.read_until("/ping")
    return command, url, f"/jobs/{job_id}"


def test_serve_answers_on_every_endpoint_it_prints(serving: Serving) -> None:
    """`--serve` keeps the app: records can be read, scans started, unknown jobs are 404."""
    command, url, path = serving
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/ping").text == "pong"
        record = client.get(path).json()
        assert (record["status"], record["result"]["files"]) == ("completed", 3)
        assert client.delete(path).json() == {"cancelled": False}
        answer = client.post("/scan")
        assert answer.status_code == 202
        assert answer.headers["location"] == f"{url}/jobs/{answer.json()['job_id']}"
        unknown = client.get("/jobs/unknown")
        assert unknown.status_code == 404
        assert unknown.json()["detail"].startswith("no job 'unknown'")
    command.interrupt()
    assert command.finish()[0] == 0


@pytest.mark.parametrize(
    ("signum", "name", "exit_code"),
    [(signal.SIGINT, "Ctrl-C", 0), (signal.SIGTERM, "SIGTERM", 143)],
)
def test_an_interrupt_ends_serving(
    serving: Serving, signum: signal.Signals, name: str, exit_code: int
) -> None:
    """Ctrl-C, the announced way to end `--serve`, exits with 0; SIGTERM with 143."""
    command, _, _ = serving
    command.interrupt(signum)
    code, out, err = command.finish()
    assert (code, err) == (exit_code, "")
    assert out.endswith(f"\n{name}: the server stops.\n")


def test_a_second_interrupt_waits_for_nothing(serving: Serving, tree: Path) -> None:
    """A second Ctrl-C ends the demo although a job still has its time to drain."""
    command, url, _ = serving
    with (tree / "endless").open("wb") as file:
        file.truncate(ENDLESS_BYTES)
    with httpx.Client(base_url=url, trust_env=False) as client:
        job = client.post("/scan").json()["job_id"]
        while client.get(f"/jobs/{job}").json()["status"] == "pending":
            pass
    command.interrupt()
    command.read_until("Ctrl-C: the server stops.")
    command.interrupt()
    code, _, err = command.finish()
    assert (code, err) == (130, "stoat-jobs demo: ended by Ctrl-C\n")
