"""A file for the queue, and processes that open it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# Kills a process that hangs, so that its test fails; nothing else waits this long.
SAFETY_NET = 60.0

PROCESS = Path(__file__).with_name("process.py")

Process = subprocess.Popen[str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the path of a file that does not exist yet."""
    return str(tmp_path / "jobs.lmdb")


@pytest.fixture
def launch(url: str) -> Iterator[Callable[[str], Process]]:
    """Return a function that starts a process on the file and captures its standard output."""
    with ExitStack() as stack:
        yield lambda what: stack.enter_context(running(url, what))


@contextmanager
def running(url: str, what: str) -> Iterator[Process]:
    """Run a process that does *what* with the file's queue, and kill it at the end."""
    command = [sys.executable, "-W", "error", str(PROCESS), url, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        alarm = threading.Timer(SAFETY_NET, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()
