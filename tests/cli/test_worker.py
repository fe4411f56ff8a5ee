"""`stoat-jobs worker` runs the lifespan of an app, and stops when it is told to."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from ..support.worker_apps import LOOPS, STARTING, Worker, ended, last_line


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(worker: Worker, tmp_path: Path, loop: str, signum: signal.Signals) -> None:
    """The app's own lifespan runs, with workers on; a running job finishes, and the exit is 0."""
    command = worker("shop:app", "--loop", loop, SUBMIT="patient")
    assert command.read_until("up ") == "up True 2 None 2"
    assert command.read_until("patient begun") == "patient begun with a pool"
    command.interrupt(signum)
    command.read_until("running jobs may finish")
    (tmp_path / "go").touch()
    code, out = ended(command)
    assert code == 0
    assert re.search(r"patient done\n(.*\n)*down\n", out), out


def test_sigterm_may_be_repeated(worker: Worker, tmp_path: Path) -> None:
    """Several SIGTERMs, and one Ctrl-C beside them, are still an orderly stop."""
    command = worker("shop:app", SUBMIT="patient")
    command.read_until("patient begun")
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        command.interrupt(signum)
    command.read_until("running jobs may finish")
    (tmp_path / "go").touch()
    assert ended(command)[0] == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_second_interrupt_leaves_at_once(worker: Worker, loop: str) -> None:
    """Ctrl-C twice waits for nothing: 130, and one line says what becomes of the jobs."""
    command = worker("shop:app", "--loop", loop, SUBMIT="stubborn")
    command.read_until("stubborn begun")
    command.interrupt()
    command.read_until("Ctrl-C: running jobs may finish; Ctrl-C once more leaves at once")
    command.interrupt()
    assert "left at once; what ran here runs again" in last_line(command, 130)


SLOW = """
import time
from pathlib import Path
print("importing", flush=True)
while not Path("go").exists():
    time.sleep(0.01)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts(
    worker: Worker, tmp_path: Path, loop: str, signum: signal.Signals
) -> None:
    """While the app is imported or starts, nothing is to be drained: it ends, with 0."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "starting.py").write_text(STARTING)
    for name, said, last in [
        ("slow", "importing", "importing"),
        ("starting", "starting", "tidied"),
    ]:
        command = worker(f"{name}:app", "--loop", loop)
        command.read_until(said)
        command.interrupt(signum)
        code, out = ended(command)
        assert (code, out.rstrip("\n").rpartition("\n")[2]) == (0, last)


CONFIGURED = """
import logging
logging.basicConfig(level={level}, format="MINE %(message)s")
from shop import app
"""


def test_events_are_shown_where_no_log_is_configured(worker: Worker) -> None:
    """An app without a logging configuration has the events of stoat_jobs on standard error."""
    command = worker("shop:app", SUBMIT="patient")
    assert " INFO worker_started backend=shared" in command.read_until("worker_started")


@pytest.mark.parametrize(("level", "expected"), [("'INFO'", 1), ("'WARNING'", 0)])
def test_the_log_of_the_app_counts(
    worker: Worker, tmp_path: Path, level: str, expected: int
) -> None:
    """One that configures logging has each event once, and of its own levels only."""
    (tmp_path / "configured.py").write_text(CONFIGURED.format(level=level))
    command = worker("configured:app")
    command.read_until("at a time")
    command.interrupt(signal.SIGTERM)
    code, out = ended(command)
    assert code == 0
    assert out.count("worker_started") == out.count("MINE worker_started") == expected


def test_help_names_the_exit_codes(worker: Worker) -> None:
    """--help says what the command does, and what its exit codes mean."""
    code, out = ended(worker("--help"))
    assert code == 0
    assert "130 Ctrl-C twice" in out
