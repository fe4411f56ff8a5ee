"""A store whose calls a test can hold, each until it lets them go."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from stoat_jobs.backends import JobStore, StoredJob

from . import SAFETY_NET
from .stores import TextHandle, TextJobQueue, TextStore


class Gate:
    """Open, until it is shut: then who comes waits in front of it."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._waiting: list[Any] = []

    def shut(self) -> None:
        """Let who comes wait."""
        self._go.clear()

    def open(self) -> None:
        """Let all go on; the clock waits for them again."""
        for thread in self._waiting:
            thread.brief = True
        self._waiting.clear()
        self._go.set()

    def pass_through(self) -> None:
        """Called in a thread of the store, for which the clock does not wait meanwhile."""
        if not self._go.is_set():
            thread: Any = threading.current_thread()
            self._waiting.append(thread)
            thread.brief = False
            assert self._go.wait(SAFETY_NET)


class GatedStore(TextStore):
    """Counts what is read, and can be held while it writes, reads or opens."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = Gate()
        self.reads = Gate()
        self.refused: set[str] = set()
        """Job types of which it keeps no new job."""
        self.read_ids: list[str] = []
        self.threads: dict[str, set[threading.Thread]] = {}
        """In which threads it was called, by method."""

    def called(self, method: str) -> None:
        self.threads.setdefault(method, set()).add(threading.current_thread())


class _GatedHandle(TextHandle):
    _store: GatedStore

    def open(self) -> None:
        self._store.called("open")
        super().open()

    def live(self) -> Iterable[StoredJob]:
        self._store.called("live")
        return super().live()

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        self._store.called("write")
        self._store.writes.pass_through()
        if any(job.record.job_type in self._store.refused for job in new):
            raise OSError("no such thing")
        super().write(new, changed, gone)

    def read(self, job_ids: Sequence[str]) -> Iterable[StoredJob]:
        self._store.called("read")
        self._store.reads.pass_through()
        if self._store.fails:
            raise OSError("disk broken")
        self._store.read_ids += job_ids
        return super().read(job_ids)

    def close(self) -> None:
        self._store.called("close")
        super().close()


class GatedJobQueue(TextJobQueue):
    """A queue on such a store."""

    wait_for_lock = 0.0

    @property
    def lock_wait(self) -> float:
        return self.wait_for_lock

    def make_store(self) -> JobStore:
        return _GatedHandle(self._given)
