"""Ctrl-C and SIGTERM, at every stage of `stoat-jobs demo`."""

from __future__ import annotations

import fcntl
import re
import signal
from pathlib import Path

import httpx
import pytest

from stoat_jobs._cli.main import main

from ..support.programs import ENDLESS_BYTES, Command, Start

TOYS = [{"job_type": "endless"}, {"job_type": "failing", "payload": {"seconds": 0.01}}]

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
    assert f"stopped by {name}" in err or f"{name}: job cancelled" in out


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
    assert re.search(rf"POST /jobs/id/cancel {name}: job cancelled \([01] of 2 files\)\n", out)
    assert "GET /ping            meanwhile answered" in out


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
    assert command.finish_unread() == (130, "stoat-jobs demo: stopped by Ctrl-C\n")


@pytest.fixture
def serving(start: Start, tree: Path) -> Serving:
    """A demo that has reported and serves on, its address, and its job's path."""
    command = start("demo", "--serve", tree)
    command.read_until("The server runs until Ctrl-C")
    url, _, job_id = command.read_until("  curl http").split()[-1].partition("/jobs/")
    command.read_until("/ping")
    return command, url, f"/jobs/{job_id}"


def test_serve_answers_on_every_endpoint_it_prints(serving: Serving) -> None:
    """`--serve` keeps the app: records can be read, scans started, unknown jobs are 404.

    Ctrl-C ends it in good order though a page and a command follow its jobs.
    """
    command, url, path = serving
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/ping").text == "pong"
        record = client.get(path).json()
        assert (record["status"], record["result"]["files"]) == ("completed", 3)
        assert client.post(f"{path}/cancel").status_code == 409
        answer = client.post("/scan")
        assert answer.status_code == 202
        assert answer.headers["location"].endswith(f"/jobs/{answer.json()['job_id']}")
        unknown = client.get("/jobs/unknown")
        assert unknown.status_code == 404
        assert unknown.json()["detail"].startswith("there is no such job here")
        place = client.post("/jobs/", json=TOYS[0]).headers["location"]
        with client.stream("GET", "/jobs/events") as page, client.stream("GET", f"{place}/events"):
            next(page.iter_bytes())
            command.interrupt()
            code, out, err = command.finish()
    assert (code, err) == (0, "log: job_cancelled: stopped by the queue's shutdown\n")
    assert f"  {url}/jobs/dashboard\n" in out
    assert f"  stoat-jobs watch {url}/jobs/\n" in out
    assert f"""  curl --json '{{"job_type": "endless"}}' {url}/jobs/\n""" in out


def test_serve_offers_jobs_to_play_with(serving: Serving, start: Start) -> None:
    """A job that fails and one that does not end can be submitted, watched and cancelled."""
    _, url, _ = serving
    with httpx.Client(base_url=f"{url}/jobs", trust_env=False) as client:
        endless, failing = (client.post("/", json=job).headers["location"] for job in TOYS)
        watching = start("watch", url + endless)
        watching.read_until("  endless  running  ")
        code, out, err = start("watch", url + failing).finish()
        assert (code, err) == (1, "")
        assert out.endswith(" RuntimeError: step 16 of 20 went wrong, as it always does\n")
        assert client.post(f"{url}{endless}/cancel").status_code == 202
        code, out, _ = watching.finish()
        assert code == 1
        assert " cancelled " in out.splitlines()[-1]
        table = start("watch", f"{url}/jobs")
        seen = [table.read_until(f"  {job}  ") for job in ("scan", "endless", "failing")]
    assert [line.split()[2] for line in seen] == ["completed", "cancelled", "failed"]


def test_a_port_is_for_one_at_a_time(serving: Serving, start: Start, tree: Path) -> None:
    """`--port` of another server is one line and exit code 2; it is free as soon as that is gone."""
    command, url, _ = serving
    port = url.rpartition(":")[2]
    expected = f"stoat-jobs demo: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    with httpx.Client(base_url=url, trust_env=False) as client:
        client.get("/ping")  # the server closes this connection first, which keeps the port busy
        code, _, err = start("demo", "--port", port, tree).finish()
        assert (code, err) == (2, expected)
        command.interrupt()
        command.finish()
    assert start("demo", "--port", port, tree).finish()[0] == 0


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_what_is_no_port_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    """A port that is not a port number is refused with the range of valid ones."""
    with pytest.raises(SystemExit):
        main(["demo", f"--port={port}"])
    assert f"'{port}' is not a port from 0 to 65535" in capsys.readouterr().err


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
    assert (code, err) == (130, "stoat-jobs demo: stopped by Ctrl-C\n")
