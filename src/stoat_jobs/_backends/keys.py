"""Which job holds which key: at most one job of a type and key is pending or running."""

from __future__ import annotations

from .job import Job


class Keys:
    """The keys of a queue's jobs."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], Job] = {}

    def hold(self, job: Job) -> None:
        """Give *job* its key, if it has one."""
        if job.key is not None:
            self._holders[job.job_type, job.key] = job

    def holder(self, job_type: str, key: str) -> Job | None:
        """The job that holds this key."""
        return self._holders.get((job_type, key))

    def release(self, job: Job) -> None:
        """Let another job have the key of *job*."""
        if job.key is not None and self._holders.get((job.job_type, job.key)) is job:
            del self._holders[job.job_type, job.key]
