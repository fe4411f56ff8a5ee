"""`stoat-jobs demo` in a terminal: a real one, of several widths."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

Terminal = Callable[..., tuple[int, str]]

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def terminal(environment: dict[str, str]) -> Terminal:
    """Runs the demo on a directory in a terminal of *columns*; gives its exit code and output."""

    def run(root: Path, columns: int, **variables: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "stoat_jobs", "demo", root],
            env={**environment, **variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        out = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
        return process.wait(), out.decode()

    return run


def read(terminal: int) -> bytes:
    """What the terminal shows next; nothing at its end, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize(("columns", "label"), [(120, True), (80, True), (50, False), (30, False)])
def test_a_terminal_gets_a_bar(terminal: Terminal, tree: Path, columns: int, label: bool) -> None:
    """In a terminal a bar is drawn that fits its width, and the cursor comes back."""
    code, out = terminal(tree, columns)
    assert code == 0
    bars = [line for line in re.split(r"[\r\n]+", CONTROL.sub("", out)) if "\u2501" in line]
    assert "100%" in bars[-1]
    assert bars[-1].startswith("GET /jobs/id") == label
    assert max(map(len, bars)) <= columns
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_plain_lines(
    terminal: Terminal, tree: Path, variables: dict[str, str]
) -> None:
    """With NO_COLOR, or in a dumb terminal, there are no control codes and no bar."""
    code, out = terminal(tree, 80, **variables)
    assert code == 0
    assert re.sub(r"[\r\n]", "", out).isprintable()
    assert "GET /jobs/id    100%  3 of 3 files" in out
