"""The store: one connection that writes, and one that reads beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .._backends.store import FinishedJob, StoredJob


class SqliteStore:
    """Keeps jobs in the file *path*, which no other process has open at the same time."""

    def __init__(
        self, path: Path, *, synchronous: str = "full", unsafe_filesystem: bool = False
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._unsafe_filesystem = unsafe_filesystem

    def open(self) -> None:
        raise NotImplementedError

    def live(self) -> Iterable[StoredJob]:
        raise NotImplementedError

    def finished(self) -> Iterable[FinishedJob]:
        raise NotImplementedError

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        raise NotImplementedError

    def read(self, job_ids: Sequence[str]) -> Iterable[StoredJob]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
