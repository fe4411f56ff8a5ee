"""A store that is a dict, the queue with it behind, and the three in-process backends by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobBackend
from stoat_jobs.backends import (
    FinishedJob,
    JobStore,
    StoredJob,
    StoredJobQueue,
    StoreInUseError,
)


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
            raise StoreInUseError("another queue has it open")
        self._store.owner = self

    def live(self) -> Iterable[StoredJob]:
        return [job for job in self._all() if not job.finish_number]

    def finished(self) -> Iterable[FinishedJob]:
        return [FinishedJob.of(job) for job in self._all() if job.finish_number]

    def _all(self) -> list[StoredJob]:
        texts = self._store.jobs.values()
        return sorted(map(StoredJob.model_validate_json, texts), key=attrgetter("number"))

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        if self._store.owner is not self:
            raise OSError("not open")
        if self._store.fails:
            raise OSError("disk full")
        self._store.jobs.update((job.job_id, job.model_dump_json()) for job in [*new, *changed])
        for job_id in gone:
            del self._store.jobs[job_id]

    def read(self, job_ids: Sequence[str]) -> Iterable[StoredJob]:
        texts = [self._store.jobs.get(job_id) for job_id in job_ids]
        return [StoredJob.model_validate_json(text) for text in texts if text is not None]

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
