"""A queue with a store that forgets a part of each job."""

from __future__ import annotations

from typing import Any

from stoat_jobs.backends import StoredJob

from ..stores import TextHandle, TextJobQueue


class _ForgetfulHandle(TextHandle):
    forgets: dict[str, Any]

    def save(self, job: StoredJob) -> None:
        super().save(job.model_copy(update=self.forgets))


class _KeepsTheFirst(TextHandle):
    def save_many(self, jobs: list[StoredJob]) -> None:
        self.save(jobs[0])


class ForgetfulJobQueue(TextJobQueue):
    """Keeps jobs with these fields instead of their own."""

    def __init__(self, *args: Any, forgets: dict[str, Any], **options: Any) -> None:
        self._forgets = forgets
        super().__init__(*args, **options)

    def make_store(self) -> TextHandle:
        handle = _ForgetfulHandle(self._given)
        handle.forgets = self._forgets
        return handle


class KeepsTheFirst(TextJobQueue):
    """Of many jobs that are accepted at once it keeps one."""

    def make_store(self) -> TextHandle:
        return _KeepsTheFirst(self._given)
