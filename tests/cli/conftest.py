"""The real command in a process of its own, and directories for it to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

LONGEST_S = 120
ENDLESS_BYTES = 10**12


class Command:
    """A running `stoat-jobs`; every read ends, if need be because it was killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._watchdog = threading.Timer(LONGEST_S, process.kill)
        self._watchdog.start()

    def read_until(self, text: str) -> str:
        """The first line of its output, from here on, with *text* in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"no {text!r} in {self.lines}; {self.process.communicate()[1]}")

    def interrupt(self, signum: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(signum)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, all output, all errors."""
        out, err = self.process.communicate()
        return self.process.returncode, "".join(f"{line}\n" for line in self.lines) + out, err

    def close(self) -> None:
        self._watchdog.cancel()
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Command]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the command: no terminal's wishes, whatever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    return {**os.environ, "TERM": "xterm-256color"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts `python -m stoat_jobs ARGUMENTS`, behind *prefix*; ended with the test."""
    with ExitStack() as stack:

        def start(
            *arguments: str | Path, prefix: list[str] | None = None, **variables: str
        ) -> Command:
            process = subprocess.Popen(
                [*(prefix or []), sys.executable, "-m", "stoat_jobs", *arguments],
                env={**environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            command = Command(process)
            stack.callback(command.close)
            return command

        yield start


@pytest.fixture
def obeying() -> list[str]:
    """A prefix under which permissions hold for root too."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three files, two of them the same."""
    root = tmp_path / "tree"
    (root / "below").mkdir(parents=True)
    (root / "one.txt").write_bytes(b"same" * 500)
    (root / "below" / "two.txt").write_bytes(b"same" * 500)
    (root / "below" / "three.bin").write_bytes(b"x" * 3000)
    return root


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A small file, and one that takes minutes to read but no room on the disk."""
    root = tmp_path / "endless"
    root.mkdir()
    (root / "a.txt").write_text("small")
    with (root / "b.img").open("wb") as file:
        file.truncate(ENDLESS_BYTES)
    return root
