"""One file in which many processes note what they see, a line for each event."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Ledger:
    """Notes the events of this process."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **facts: Any) -> None:
        """One write, which no other process interrupts, and which outlives this process."""
        entry = {"at": time.monotonic(), "pid": os.getpid(), "what": what, **facts}
        os.write(self._file, json.dumps(entry, default=str).encode() + b"\n")


class Books:
    """What is in the file, read as it grows."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._read = 0
        self._entries: list[Entry] = []

    def entries(self, what: str | None = None, **facts: Any) -> list[Entry]:
        """All events, or those of this kind that have all of these facts."""
        self._go_on()
        wanted = facts if what is None else {"what": what, **facts}
        return [entry for entry in self._entries if wanted.items() <= _hashable(entry).items()]

    def _go_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines, _, _ = file.read().rpartition(b"\n")
        if lines:
            self._read += len(lines) + 1
            self._entries += map(json.loads, lines.split(b"\n"))


def _hashable(entry: Entry) -> Entry:
    """The facts that can be asked for."""
    return {name: value for name, value in entry.items() if not isinstance(value, (dict, list))}
