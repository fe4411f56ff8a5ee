"""`stoat-jobs demo` as its user sees it: real processes, real directories, real HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stoat_jobs import JobStatus
from stoat_jobs._cli.demo.client import Client
from stoat_jobs._cli.demo.server import Server
from stoat_jobs._cli.demo.steps import summary
from stoat_jobs._cli.main import main
from stoat_jobs._demo.app import create_app

from ..support.environments import install
from ..support.programs import Start, run_python
from ..support.sockets import leave_socket


def matches(patterns: list[str], lines: list[str]) -> str | None:
    """Whether each line is what its pattern says; the first that is not, else None."""
    assert len(patterns) <= len(lines), lines
    return next((line for p, line in zip(patterns, lines) if not re.fullmatch(p, line)), None)


def test_a_run_tells_the_whole_story(start: Start, tree: Path) -> None:
    """A run shows the 202, the progress, the requests answered and the report, and exits with 0."""
    code, out, err = start("demo", tree).finish()
    assert (code, err) == (0, "")
    root = re.escape(str(tree))
    story = [
        rf"A web app reads {root} in a background job\.",
        r"server               http://127\.0\.0\.1:\d+ \(uvicorn, Starlette\)",
        r"POST /scan           202 Accepted in [\d.]+ m?s: job [0-9a-f]{8}",
        r"GET /jobs/id/events  100%  3 of 3 files",
        r"GET /ping            meanwhile answered [\d,]+ times?(: median [\d.]+ m?s, slowest .*s)?",
        r"",
        rf"3 files, 7\.0 kB in {root}",
        r"  read in [\d.]+ m?s, .* per second",
    ]
    # How much of the way is seen depends on the machine.
    steps = [
        line for line in out.splitlines() if not re.match(r"GET /jobs/id/events +\d\d?%", line)
    ]
    assert matches(story, steps) is None
    assert "Duplicates: 1 file, 2.0 kB, repeat another file's content" in steps


def test_the_directory_is_by_default_the_one_it_is_called_in(
    start: Start, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DIR the demo reads the current directory."""
    monkeypatch.chdir(tree)
    code, out, _ = start("demo").finish()
    assert code == 0
    assert f"3 files, 7.0 kB in {tree}\n" in out


def test_an_empty_directory_has_an_honest_report(start: Start, tmp_path: Path) -> None:
    """A directory without files is read in full, and the report says so."""
    code, out, err = start("demo", tmp_path).finish()
    assert (code, err) == (0, "")
    assert f"0 files, 0 B in {tmp_path}\n" in out
    assert "GET /jobs/id/events  100%  0 of 0 files\n" in out


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file or directory"), ("file", "Not a directory")],
)
def test_what_is_no_directory_is_one_clear_line(
    start: Start, tmp_path: Path, name: str, reason: str
) -> None:
    """A DIR that is missing, or a file, gives one line on stderr and exit code 2."""
    (tmp_path / "file").touch()
    path = tmp_path / name
    expected = f"stoat-jobs demo: cannot read {path}: {reason}\n"
    assert start("demo", path).finish() == (2, "", expected)


def test_a_directory_that_may_not_be_read_is_one_clear_line(
    start: Start, tmp_path: Path, obeying: list[str]
) -> None:
    """A DIR without permission gives one line on stderr and exit code 2."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    expected = f"stoat-jobs demo: cannot read {closed}: Permission denied\n"
    assert start("demo", closed, prefix=obeying).finish() == (2, "", expected)


def test_what_may_not_be_read_inside_is_counted_and_listed(
    start: Start, tree: Path, obeying: list[str]
) -> None:
    """Files and directories without permission do not stop the scan: they are counted and listed."""
    (tree / "secret.txt").write_text("x")
    (tree / "secret.txt").chmod(0)
    (tree / "below" / "closed").mkdir(mode=0)
    code, out, err = start("demo", tree, prefix=obeying).finish()
    assert (code, err) == (0, "")
    assert f"3 files, 7.0 kB in {tree}\n" in out
    assert out.endswith(
        "\nCould not read 2 entries\n"
        "  secret.txt: Permission denied\n"
        "  below/closed: Permission denied\n"
    )


def test_what_is_no_regular_file_is_skipped_and_counted(start: Start, tree: Path) -> None:
    """Links are not followed, fifos and sockets not opened, further hard links not read again."""
    (tree / "loop").symlink_to(tree)
    (tree / "away").symlink_to("/")
    os.mkfifo(tree / "fifo")
    os.link(tree / "one.txt", tree / "same.txt")
    leave_socket(tree)
    code, out, err = start("demo", tree).finish()
    assert (code, err) == (0, "")
    assert f"3 files, 7.0 kB in {tree}\n" in out
    assert "  skipped 2 symbolic links, 2 special files, 1 repeated hard link\n" in out


def test_names_of_any_bytes_survive(start: Start, tmp_path: Path) -> None:
    """Names that are no UTF-8, or would move the cursor, are read and shown with escapes."""
    root = tmp_path / os.fsdecode(b"\xff")
    root.mkdir()
    for name in (b"latin-\xe9.txt", b"evil\x1b[2J\n.txt", b"[red].txt"):
        (root / os.fsdecode(name)).write_bytes(name)
    code, out, err = start("demo", root).finish()
    assert (code, err) == (0, "")
    assert f"3 files, 33 B in {tmp_path}/\\xff\n" in out
    assert "  latin-\\xe9.txt\n" in out
    assert "  evil\\x1b[2J\\n.txt\n" in out
    assert "  [red].txt\n" in out


def test_output_that_cannot_show_a_name_escapes_it(start: Start, tmp_path: Path) -> None:
    """A terminal of ASCII alone gets escapes, not a traceback."""
    (tmp_path / "caf\u00e9.txt").write_text("x")
    code, out, err = start("demo", tmp_path, PYTHONIOENCODING="ascii").finish()
    assert (code, err) == (0, "")
    assert "  caf\\xe9.txt\n" in out


def test_a_pipe_gets_no_control_codes(start: Start, tree: Path) -> None:
    """What is not read in a terminal has no control codes, whatever colours are asked for."""
    code, out, _ = start("demo", tree, FORCE_COLOR="1", CLICOLOR_FORCE="1").finish()
    assert code == 0
    assert out.replace("\n", "").isprintable()


def test_a_proxy_of_the_environment_is_not_asked(start: Start, tree: Path) -> None:
    """The demo talks to its own machine directly, also where a proxy is configured."""
    proxy = "http://127.0.0.1:9"
    code, _, err = start("demo", tree, HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy).finish()
    assert (code, err) == (0, "")


def test_a_reader_that_leaves_ends_the_demo(start: Start, endless: Path) -> None:
    """`stoat-jobs demo | head -1` ends without a traceback, and does not wait for the job."""
    command = start("demo", endless)
    command.read_until("A web app reads")
    command.stdout.close()
    assert command.finish_unread() == (1, "")


def test_missing_extras_are_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra [demo] one line says what is missing and how to get it; exit code 2."""
    for name in ("rich", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["demo", str(tree)]) == 2
    assert capsys.readouterr() == (
        "",
        'stoat-jobs demo: rich, uvicorn not installed: pip install "stoat-jobs[demo]"\n',
    )


def test_the_command_itself_needs_no_extra() -> None:
    """Importing the command imports nothing that an extra brings."""
    program = (
        "import sys, stoat_jobs._cli.main;"
        " print({'httpx', 'httpx_sse', 'rich', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    assert run_python("-c", program).stdout.strip() == "set()"


def test_a_second_client_finds_the_same_job_and_may_cancel_it(start: Start, endless: Path) -> None:
    """A scan asked for while one runs is that one; cancelled by another client, the demo says so."""
    command = start("demo", endless)
    url = command.read_until("server ").split()[1]
    job_id = command.read_until("POST /scan").split()[-1]
    with httpx.Client(base_url=url, trust_env=False) as client:
        found = client.post("/scan").json()["job_id"]
        assert found.startswith(job_id)
        assert client.post(f"/jobs/{found}/cancel").status_code == 202
    code, _, err = command.finish()
    assert code == 1
    assert err.startswith("stoat-jobs demo: the job is cancelled: ")
    assert err.count("\n") == 1


def test_a_server_that_cannot_start_is_said(start: Start, tree: Path, tmp_path: Path) -> None:
    """Where the app cannot start, its reason and one line of ours are shown; exit code 1."""
    install(tmp_path, "rival", "asyncio = stoat_jobs:InMemoryJobQueue\n")
    code, _, err = start("demo", tree, PYTHONPATH=str(tmp_path)).finish()
    assert code == 1
    assert re.search("BackendClashError: backend 'asyncio' is claimed by .*rival", err)
    assert err.splitlines()[-1].startswith("stoat-jobs demo: the server does not answer: ")


@pytest.fixture
def served(tree: Path) -> Iterator[str]:
    """The address of the demo's app, on a server in this process."""
    server = Server(create_app(tree))
    server.start()
    yield server.url
    server.stop()


def test_the_app_is_for_its_own_machine_alone(served: str) -> None:
    """A page of the web cannot reach it under a name of its own, nor submit without asking."""
    with httpx.Client(base_url=served, trust_env=False) as client:
        assert client.get("/jobs/", headers={"Host": "evil.example"}).status_code == 400
        unasked = {"Content-Type": "text/plain"}
        answer = client.post("/jobs/", content='{"job_type": "scan"}', headers=unasked)
        assert answer.status_code == 415
        assert client.get("/jobs/").json() == []


async def test_a_scan_that_ended_first_stands(served: str) -> None:
    """Where a scan ends before Ctrl-C reaches it, its own end is what is told."""
    client = Client(served)
    response, _ = await client.start_scan()
    job_id = response.json()["job_id"]
    records = [record async for record in client.follow(job_id)]
    record = await client.cancel(job_id)
    await client.aclose()
    assert record == records[-1]
    assert record.status is JobStatus.COMPLETED


async def broken(request: Request) -> Response:
    return Response(status_code=500)


async def test_requests_that_fail_are_told_apart() -> None:
    """A request that is not answered as it should be is counted, and not timed."""
    server = Server(Starlette(routes=[Route("/ping", broken)]))
    server.start()
    client = Client(server.url)
    async with client.pinging() as pings:
        while not pings.failed:
            await asyncio.sleep(0)
    await client.aclose()
    server.stop()
    assert pings.answered == 0
    assert summary(pings).startswith("meanwhile answered 0 times, 1 failed")


def test_the_command_writes_where_its_caller_says() -> None:
    """Called from Python it writes to whatever stands for standard output."""
    with redirect_stdout(StringIO()) as out:
        assert main(["backends"]) == 0
    assert out.getvalue().startswith("BACKEND ")
