"""`stoat-jobs demo --backend sqlite`: real processes, one of which is killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.environments import install
from ..support.programs import ENDLESS_BYTES, Command, Start
from ..support.terminal import StartTerminal

EXIT_CODES = [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]

# Each server waits at its start until the test opens the gate.
GATED = """
import os, sys
if "-c" in sys.orig_argv:
    open(os.environ["GATE"]).close()
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its temporary folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(start: Start, temporary: Path) -> Start:
    """Starts the demo that kills its server."""

    def demo(*arguments: str | Path, **variables: Any) -> Command:
        return start("demo", "--backend", "sqlite", *arguments, TMPDIR=str(temporary), **variables)

    return demo


class Gate:
    """Holds each server back until it is opened, once for each."""

    def __init__(self, folder: Path) -> None:
        (folder / "sitecustomize.py").write_text(GATED)
        self._fifo = folder / "gate"
        os.mkfifo(self._fifo)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self.variables = {"GATE": str(self._fifo), "PYTHONPATH": path}

    def open(self) -> None:
        """Let the next server start."""
        self._fifo.open("w").close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that is closed."""
    (tmp_path / "gated").mkdir()
    return Gate(tmp_path / "gated")


def endless(folder: Path, name: str = "endless") -> None:
    """A file that takes minutes to read but no room on the disk."""
    with (folder / name).open("wb") as file:
        file.truncate(ENDLESS_BYTES)


def servers(temporary: Path) -> list[int]:
    """The processes that run with a file in this folder, and have not ended."""
    mark = os.fsencode(temporary)
    return [
        int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cmdline") if mark in read(each)
    ]


def read(path: Path) -> bytes:
    """The content of a file below /proc, which may just have gone."""
    with suppress(OSError):
        return path.read_bytes()
    return b""


def assert_nothing_is_left(temporary: Path) -> None:
    assert servers(temporary) == []
    assert list(temporary.iterdir()) == []


def test_a_job_survives_its_process(demo: Start, tree: Path, temporary: Path) -> None:
    """A scan that is killed in the middle is started again on the same file, and completes."""
    code, out, err = demo(tree).finish()
    assert (code, err) == (0, "")
    root = re.escape(str(tree))
    story = [
        rf"A web app reads {root} in a background job, and is killed in the middle\.",
        rf"server               (http://127\.0\.0\.1:\d+) \(process \d+\), jobs in {temporary}/.*/jobs\.db",
        r"POST /scan           202 Accepted in [\d.]+ m?s: job ([0-9a-f]{8})",
        r"kill -9 \d+ +the server is killed with SIGKILL at 71%",
        r"server               \1 \(process \d+\), with the same file",
        r"                     started again: job \2 runs again from its beginning",
        r"GET /jobs/id/events  100%  3 of 3 files",
        r"GET /ping            meanwhile answered [\d,]+ times?.*",
        r"GET /jobs/id         completed",
        r"",
        rf"3 files, 7\.0 kB in {root}",
    ]
    # All bytes may be read, which is 100 %, a moment before the last file counts.
    told = re.sub(r"GET /jobs/id/events +\d+%(?!  3 of 3 files\n).*\n", "", out)
    assert re.match("\n".join(story), told), told
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize(("signum", "name", "exit_code"), EXIT_CODES)
def test_an_interrupt_while_the_first_server_starts(
    demo: Start,
    tree: Path,
    temporary: Path,
    gate: Gate,
    signum: signal.Signals,
    name: str,
    exit_code: int,
) -> None:
    """A signal before the server is up leaves no process and no file."""
    command = demo(tree, **gate.variables)
    command.read_until("A web app reads")
    while not servers(temporary):
        pass
    command.interrupt(signum)
    expected = (exit_code, f"stoat-jobs demo: stopped by {name}\n")
    assert command.finish()[::2] == expected
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize(("signum", "name", "exit_code"), EXIT_CODES)
def test_an_interrupt_while_the_first_server_scans(
    demo: Start, tree: Path, temporary: Path, signum: signal.Signals, name: str, exit_code: int
) -> None:
    """A signal during the scan leaves no process and no file."""
    endless(tree)
    command = demo(tree)
    command.read_until("0%")
    command.interrupt(signum)
    expected = (exit_code, f"stoat-jobs demo: stopped by {name}\n")
    assert command.finish()[::2] == expected
    assert_nothing_is_left(temporary)


def test_an_interrupt_while_the_second_server_starts(
    demo: Start, tree: Path, temporary: Path, gate: Gate
) -> None:
    """Ctrl-C between the two servers leaves no process and no file."""
    command = demo(tree, **gate.variables)
    gate.open()
    command.read_until("kill -9")
    command.interrupt()
    assert command.finish()[::2] == (130, "stoat-jobs demo: stopped by Ctrl-C\n")
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_the_second_server_scans(
    demo: Start, tree: Path, temporary: Path, gate: Gate, times: int
) -> None:
    """Ctrl-C after the restart, once or twice, leaves no process and no file."""
    command = demo(tree, **gate.variables)
    gate.open()
    command.read_until("kill -9")
    endless(tree)
    gate.open()
    command.read_until("0%")
    for _ in range(times):
        command.interrupt()
    assert command.finish()[::2] == (130, "stoat-jobs demo: stopped by Ctrl-C\n")
    assert_nothing_is_left(temporary)


def test_no_server_outlives_a_demo_that_is_killed(demo: Start, tree: Path, temporary: Path) -> None:
    """A server ends by itself when the demo cannot end it any more."""
    endless(tree)
    command = demo(tree)
    command.read_until("0%")
    command.kill()
    while servers(temporary):
        assert not command.hangs


@pytest.mark.parametrize(
    ("signum", "name", "exit_code"), [(signal.SIGINT, "Ctrl-C", 0), EXIT_CODES[1]]
)
def test_the_second_server_may_go_on(
    demo: Start, tree: Path, temporary: Path, signum: signal.Signals, name: str, exit_code: int
) -> None:
    """With --serve the second server has the job, until a signal; nothing is left."""
    command = demo("--serve", tree)
    command.read_until("The server runs until Ctrl-C")
    url = command.read_until("/jobs/dashboard").strip().removesuffix("dashboard")
    [record] = httpx.get(url, trust_env=False).json()
    assert record["status"] == "completed"
    command.interrupt(signum)
    code, out, err = command.finish()
    assert (code, err) == (exit_code, "")
    assert out.endswith(f"\n{name}: the server stops.\n")
    assert_nothing_is_left(temporary)


def test_a_job_that_does_not_reach_the_middle_is_said(
    demo: Start, tree: Path, temporary: Path
) -> None:
    """If another client cancels the scan, the demo says so; exit code 1."""
    endless(tree)
    command = demo(tree)
    url = command.read_until("server ").split()[1]
    command.read_until("0%")
    [job] = httpx.get(f"{url}/jobs/", trust_env=False).json()
    httpx.post(f"{url}/jobs/{job['job_id']}/cancel", trust_env=False)
    code, _, err = command.finish()
    assert code == 1
    assert err.startswith("stoat-jobs demo: the job is cancelled: ")
    assert_nothing_is_left(temporary)


def test_a_port_that_is_taken_is_one_clear_line(demo: Start, tree: Path, temporary: Path) -> None:
    """A port that another program listens on gives one line on stderr and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = demo("--port", port, tree).finish()
    reason = f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert (code, err) == (2, f"stoat-jobs demo: {reason}\n")
    assert_nothing_is_left(temporary)


def test_a_server_that_cannot_start_is_said(
    demo: Start, tree: Path, tmp_path: Path, temporary: Path
) -> None:
    """Where the app cannot start, its reason and one line of ours are shown; exit code 1."""
    install(tmp_path, "rival", "sqlite = stoat_jobs:InMemoryJobQueue\n")
    code, _, err = demo(tree, PYTHONPATH=str(tmp_path)).finish()
    assert code == 1
    assert re.search("BackendClashError: backend 'sqlite' is claimed by .*rival", err)
    assert err.splitlines()[-1].startswith("stoat-jobs demo: the server does not answer: ")
    assert_nothing_is_left(temporary)


def test_the_current_directory_is_not_imported_from(
    environment: dict[str, str], tree: Path, temporary: Path
) -> None:
    """A directory may be scanned from inside, whatever its modules are called."""
    (tree / "random.py").write_text("raise SystemExit('imported')")
    program = [sys.executable, "-P", "-m", "stoat_jobs", "demo", "--backend", "sqlite"]
    variables = {**environment, "TMPDIR": str(temporary)}
    with Command(program, cwd=tree, env=variables) as command:
        code, out, err = command.finish()
    assert (code, err) == (0, "")
    assert f"4 files, 7.0 kB in {tree}\n" in out


def test_ctrl_c_in_a_terminal_is_for_the_demo(
    terminal: StartTerminal, tree: Path, temporary: Path
) -> None:
    """Ctrl-C in a terminal, which is for all of its processes, is no traceback of a server."""
    endless(tree)
    shown = terminal("demo", "--backend", "sqlite", tree, columns=80, TMPDIR=str(temporary))
    shown.read_until("0%")
    shown.press(b"\x03")
    code, out = shown.finish()
    assert code == 130
    assert "Traceback" not in out
    assert out.rstrip().endswith("stoat-jobs demo: stopped by Ctrl-C")
    assert_nothing_is_left(temporary)
