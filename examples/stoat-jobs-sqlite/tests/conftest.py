"""A file for the queue, and processes that have it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# A process that hangs is killed, so that its test fails; nothing else waits this long.
SAFETY_NET = 60.0

PROCESS = Path(__file__).with_name("process.py")

Process = subprocess.Popen[str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The path of a file that is not there yet."""
    return str(tmp_path / "jobs.db")


@pytest.fixture
def launch(url: str) -> Iterator[Callable[[str], Process]]:
    """Starts a process on the file; it says what it does on its standard output."""
    with ExitStack() as stack:
        yield lambda what: stack.enter_context(running(url, what))


@contextmanager
def running(url: str, what: str) -> Iterator[Process]:
    """A process that does *what* with the queue of the file, killed at the latest here."""
    command = [sys.executable, "-W", "error", str(PROCESS), url, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        alarm = threading.Timer(SAFETY_NET, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()
