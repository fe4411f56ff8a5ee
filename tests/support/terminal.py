"""`stoat-jobs` in a terminal, which has what Windows has not."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from .programs import Program

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(Program):
    """`stoat-jobs ARGUMENTS` in a terminal of its own."""

    def __init__(
        self,
        *arguments: str | Path,
        columns: int,
        environment: dict[str, str],
        lines: int = 40,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        super().__init__(
            # Ctrl-C reaches the processes whose terminal it is.
            ["setsid", "--ctty", sys.executable, "-m", "stoat_jobs", *arguments],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._out = b""

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
        return self.process.wait(), self._out.decode()

    def _read(self) -> bool:
        """Whether there was more; Linux reports the end as an error."""
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:
            chunk = b""
        self._out += chunk
        return bool(chunk)

    def close(self) -> None:
        super().close()
        os.close(self._ours)


StartTerminal = Callable[..., Terminal]
