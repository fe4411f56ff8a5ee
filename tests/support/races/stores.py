"""A queue with a store behind it, which is strict about when it may be written to."""

from __future__ import annotations

from collections.abc import Iterable

from stoat_jobs.backends import JobStore, StoredJob, StoredJobQueue


class TextStore:
    """Keeps its jobs as the text that a file would hold."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.is_open = False

    def open(self) -> None:
        if self.is_open:
            raise OSError("another queue has it open")
        self.is_open = True

    def load(self) -> Iterable[StoredJob]:
        return [StoredJob.model_validate_json(text) for text in self.jobs.values()]

    def save(self, job: StoredJob) -> None:
        self._check_open()
        self.jobs[job.job_id] = job.model_dump_json()

    def forget(self, job_id: str) -> None:
        self._check_open()
        del self.jobs[job_id]

    def _check_open(self) -> None:
        if not self.is_open:
            raise OSError("not open")

    def close(self) -> None:
        self.is_open = False


class TextJobQueue(StoredJobQueue):
    name = "text"

    def make_store(self) -> JobStore:
        return TextStore()
