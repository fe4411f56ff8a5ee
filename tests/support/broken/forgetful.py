"""A queue with a store that forgets a part of each job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoat_jobs import JobResult
from stoat_jobs.backends import StoredJob

from ..stores import TextHandle, TextJobQueue


class _ForgetfulHandle(TextHandle):
    forgets: dict[str, Any]

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        super().write(list(map(self._worse, new)), list(map(self._worse, changed)), gone)

    def _worse(self, job: StoredJob) -> StoredJob:
        of_record = {name: each for name, each in self.forgets.items() if name in _RECORD}
        rest = {name: each for name, each in self.forgets.items() if name not in _RECORD}
        return job.model_copy(update={**rest, "record": job.record.model_copy(update=of_record)})


_RECORD = JobResult.model_fields.keys() - StoredJob.model_fields.keys()


class _KeepsTheFirst(TextHandle):
    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        ids = [job.job_id for job in new[1:]]
        super().write(new[:1], [job for job in changed if job.job_id not in ids], gone)


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
