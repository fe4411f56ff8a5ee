"""A store that is a dict, the queue with it behind, and the three in-process backends by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobBackend
from stoat_jobs.backends import JobStore, StoredJob, StoredJobQueue


class TextStore:
    """Keeps jobs as the text that a file would hold."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.owner: TextHandle | None = None
        self.fails = False

    def lose_owner(self) -> None:
        """What the system does when the process that has it open dies."""
        self.owner = None


class TextHandle:
    """The store as one queue has it."""

    def __init__(self, store: TextStore) -> None:
        self._store = store

    def open(self) -> None:
        if self._store.owner is not None:
            raise OSError("another queue has it open")
        self._store.owner = self

    def load(self) -> Iterable[StoredJob]:
        return [StoredJob.model_validate_json(text) for text in reversed(self._store.jobs.values())]

    def save(self, job: StoredJob) -> None:
        self._write()
        self._store.jobs[job.job_id] = job.model_dump_json()

    def forget(self, job_id: str) -> None:
        self._write()
        del self._store.jobs[job_id]

    def _write(self) -> None:
        if self._store.owner is not self:
            raise OSError("not open")
        if self._store.fails:
            raise OSError("disk full")

    def close(self) -> None:
        if self._store.owner is self:
            self._store.owner = None


class TextJobQueue(StoredJobQueue):
    """A queue whose store is given from outside."""

    name = "text"

    def __init__(self, *args: Any, store: TextStore) -> None:
        self._given = store
        super().__init__(*args)

    def make_store(self) -> JobStore:
        return TextHandle(self._given)


def stored_queue(*args: Any) -> TextJobQueue:
    """A queue on a store of its own."""
    return TextJobQueue(*args, store=TextStore())


BACKENDS: dict[str, Callable[..., JobBackend]] = {
    "asyncio": AsyncioJobQueue,
    "memory": InMemoryJobQueue,
    "stored": stored_queue,
}
