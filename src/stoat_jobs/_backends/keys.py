"""Which job holds which key: a submission with the same job type and key gets that job's id.

- A job holds its key while it is pending or running, until it is told to stop or finishes.
- A key that is kept is held as long as the record of its job is. What is known of the payload
  then is a digest, by which another payload is told.

What a key may be is checked with the other options of ``submit``.
"""

from __future__ import annotations

from .job import Job


class Keys:
    """The keys of a queue's jobs; one without a key holds none."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str | None], Job] = {}
        self._digests: dict[Job, str] = {}
        """Of the payloads of those that hold their keys as long as their records are kept."""

    def hold(self, job: Job, digest: str = "") -> None:
        """Give *job* its key; with the *digest* of its payload, as long as its record is kept."""
        self._holders[job.job_type, job.key] = job
        if digest:
            self._digests[job] = digest

    def holder(self, job_type: str, key: str) -> Job | None:
        """The job that holds this key."""
        return self._holders.get((job_type, key))

    def digest_of(self, job: Job) -> str:
        """Of the payload, if *job* holds its key as long as its record is kept; else empty."""
        return self._digests.get(job, "")

    def release(self, job: Job) -> None:
        """Let another job have the key of *job*, unless it is kept."""
        if job not in self._digests and self._holders.get((job.job_type, job.key)) is job:
            del self._holders[job.job_type, job.key]

    def drop(self, job: Job) -> str:
        """Let another job have the key of *job* in any case; returns what was known of it."""
        digest = self._digests.pop(job, "")
        self.release(job)
        return digest
