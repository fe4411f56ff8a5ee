"""The real `stoat-jobs` in a process of its own: followed line by line, or in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

# A command that hangs is killed, so that its test fails; nothing else waits this long.
SAFETY_NET_S = 120
# More than can be read before somebody interrupts.
ENDLESS_BYTES = 10**12


class Command:
    """A running `stoat-jobs`; every read ends, if need be because it was killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout = process.stdout
        self._stderr = process.stderr
        self._process = process
        self.lines: list[str] = []
        self._watchdog = threading.Timer(SAFETY_NET_S, process.kill)
        self._watchdog.start()

    def read_until(self, text: str) -> str:
        """The first line of its output, from here on, with *text* in it."""
        for line in self.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"no {text!r} in {self.lines}; {self._process.communicate()[1]}")

    def interrupt(self, signum: signal.Signals = signal.SIGINT) -> None:
        self._process.send_signal(signum)

    def wait_until_unread(self, size: int) -> None:
        """Until so many bytes of its output wait for a reader."""
        waiting = bytearray(4)
        while struct.unpack("i", waiting)[0] < size and self._process.poll() is None:
            fcntl.ioctl(self.stdout, termios.FIONREAD, waiting)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, all output, all errors."""
        out, err = self._process.communicate()
        return self._process.returncode, "".join(f"{line}\n" for line in self.lines) + out, err

    def finish_unread(self) -> tuple[int, str]:
        """Exit code and all errors; of its output nothing more is read."""
        return self._process.wait(), self._stderr.read()

    def close(self) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()


CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """`stoat-jobs ARGUMENTS` in a terminal of its own; every read ends, as in `Command`."""

    def __init__(
        self,
        *arguments: str | Path,
        columns: int,
        environment: dict[str, str],
        lines: int = 40,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            # Ctrl-C reaches the processes whose terminal it is.
            ["setsid", "--ctty", sys.executable, "-m", "stoat_jobs", *arguments],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._out = b""
        self._watchdog = threading.Timer(SAFETY_NET_S, self._process.kill)
        self._watchdog.start()

    @property
    def text(self) -> str:
        """What was shown so far, without control codes."""
        return CONTROL.sub("", self._out.decode(errors="replace"))

    def read_until(self, text: str) -> None:
        """Read on until *text* was shown."""
        while text not in self.text:
            assert self._read(), f"no {text!r} in {self.text!r}"

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def finish(self) -> tuple[int, str]:
        """Exit code, and all output with its control codes."""
        while self._read():
            pass
        return self._process.wait(), self._out.decode()

    def _read(self) -> bool:
        """Whether there was more; Linux reports the end as an error."""
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:
            chunk = b""
        self._out += chunk
        return bool(chunk)

    def close(self) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


Start = Callable[..., Command]
StartTerminal = Callable[..., Terminal]


def install(folder: Path, distribution: str, points: str, **modules: str) -> None:
    """Put a distribution with these backends and modules into *folder*."""
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[stoat_jobs.backends]\n" + points)
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
