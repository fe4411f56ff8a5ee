"""A store that is a dict, for a queue with a store behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stoat_jobs.backends import JobStore, StoredJob, StoredJobQueue


class TextStore:
    """Keeps its jobs as the text that a file would hold."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.is_open = False
        self.fails = False

    def lose_owner(self) -> None:
        """What the system does when the process that has it open dies."""
        self.is_open = False

    def open(self) -> None:
        if self.is_open:
            raise OSError("another queue has it open")
        self.is_open = True

    def load(self) -> Iterable[StoredJob]:
        return [StoredJob.model_validate_json(text) for text in reversed(self.jobs.values())]

    def save(self, job: StoredJob) -> None:
        self._write()
        self.jobs[job.job_id] = job.model_dump_json()

    def forget(self, job_id: str) -> None:
        self._write()
        del self.jobs[job_id]

    def _write(self) -> None:
        if not self.is_open:
            raise OSError("not open")
        if self.fails:
            raise OSError("disk full")

    def close(self) -> None:
        self.is_open = False


class TextJobQueue(StoredJobQueue):
    """A queue whose store is given from outside."""

    name = "text"

    def __init__(self, *args: Any, store: JobStore) -> None:
        self._given = store
        super().__init__(*args)

    def make_store(self) -> JobStore:
        return self._given
