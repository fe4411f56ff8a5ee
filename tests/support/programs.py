"""Other processes: a Python that runs some code, and programs that are followed as they run."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import SAFETY_NET

# More than can be read before somebody interrupts.
ENDLESS_BYTES = 10**12


def run_python(
    *arguments: str | Path, python: str | Path = sys.executable, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with these *arguments* until it exits with 0; what it printed."""
    command = [python, *arguments]
    options = {
        "capture_output": True,
        "text": True,
        "timeout": SAFETY_NET,
        **options,
    }
    done: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done


def unmeasured() -> dict[str, str]:
    """The environment without what lets coverage measure a process, which imports much and traces."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


class Program:
    """A running process; one that hangs is killed, so that every read ends."""

    def __init__(self, command: list[Any], **options: Any) -> None:
        self.process: subprocess.Popen[Any] = subprocess.Popen(command, **options)
        self.hangs = False
        self._alarm = threading.Timer(SAFETY_NET, self._give_up)
        self._alarm.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _give_up(self) -> None:
        self.hangs = True
        self.kill()

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.kill()

    def close(self) -> None:
        """End what has not ended by itself."""
        self._alarm.cancel()
        if self.process.poll() is None:
            self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Command(Program):
    """A program whose output and errors are read, line by line or at its end."""

    def __init__(self, command: list[Any], **options: Any) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        pipes["stdin"] = subprocess.DEVNULL
        super().__init__(command, text=True, **{**pipes, **options})
        self.lines: list[str] = []

    @property
    def stdout(self) -> Any:
        """Where its output is read."""
        return self.process.stdout

    def read_until(self, text: str) -> str:
        """The first line of its output, from here on, with *text* in it."""
        for line in self.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"no {text!r} in {self.lines}; {self.process.communicate()[1]}")

    def interrupt(self, signum: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(signum)

    def wait_until_unread(self, size: int) -> None:
        """Until so many bytes of its output wait for a reader."""
        import fcntl  # neither is on Windows
        import termios

        waiting = bytearray(4)
        while struct.unpack("i", waiting)[0] < size and self.process.poll() is None:
            fcntl.ioctl(self.stdout, termios.FIONREAD, waiting)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, all output, all errors."""
        out, err = self.process.communicate()
        read = "".join(f"{line}\n" for line in self.lines)
        return self.process.returncode, read + (out or ""), err

    def finish_unread(self) -> tuple[int, str]:
        """Exit code and all errors; of its output nothing more is read."""
        assert self.process.stderr is not None
        return self.process.wait(), self.process.stderr.read()


Start = Callable[..., Command]
