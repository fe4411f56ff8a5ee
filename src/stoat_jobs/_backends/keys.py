"""Which job holds which key: a submission with the same job type and key gets that job's id.

A job holds its key while it is pending or running, until it is told to stop or finishes. What a
key may be is checked with the other options of ``submit``.
"""

from __future__ import annotations

from .job import Job


class Keys:
    """The keys of a queue's jobs; one without a key holds none."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str | None], Job] = {}

    def hold(self, job: Job) -> None:
        """Give *job* its key."""
        self._holders[job.job_type, job.key] = job

    def holder(self, job_type: str, key: str) -> Job | None:
        """The job that holds this key."""
        return self._holders.get((job_type, key))

    def release(self, job: Job) -> None:
        """Let another job have the key of *job*."""
        if self._holders.get((job.job_type, job.key)) is job:
            del self._holders[job.job_type, job.key]
