"""A live job of a queue with a store: its record, and what else the store keeps of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, cast

from .._backends.job import SAME_IN_RECORD, Job
from .store import FinishedJob, StoredJob, unchecked_job


@dataclass(slots=True, eq=False, repr=False)
class DurableJob(Job):
    """A job, and what the store has to know of it."""

    number: int = 0
    finish_number: int = 0
    digest: str = ""  # of its payload, if its key is kept
    deliveries: int = 0
    is_unread: bool = False  # its payload is that of an earlier process, and was not decoded yet

    def stored(self, result: str = "") -> StoredJob:
        """The job as it is now, with its result as JSON."""
        record = self.record()
        # Nobody else has this record; a copy without the two would take longer than all the rest.
        vars(record).update(result=None, payload=None)
        return unchecked_job(
            {
                "record": record,
                "number": self.number,
                "submitted": self.submitted,
                "payload": self.payload.text.decode(),
                "result": result,
                "timeout": self.timeout,
                "unique": "kept" if self.digest else "live",
                "payload_digest": self.digest,
                "deliveries": self.deliveries,
                "finish_number": self.finish_number,
            }
        )

    def apart(self) -> Self:
        """A copy that can change without anybody being told."""
        job = copy.copy(self)
        job.waiters = job.changes = None
        return job

    def become(self, ended: DurableJob) -> None:
        """Be what *ended*, a copy, has become."""
        for name in _CHANGED_AT_THE_END:
            setattr(self, name, getattr(ended, name))
        self.drop_live_fields()

    def entry(self) -> FinishedJob:
        """What the queue has to know of it after its end."""
        return FinishedJob(
            job_id=self.job_id,
            job_type=self.job_type,
            status=self.status,
            number=self.number,
            finish_number=self.finish_number,
            submitted=self.submitted,
            started=self.started,
            finished=self.finished or 0.0,
            not_before=self.not_before,
            key=self.key if self.digest else None,
            digest=self.digest,
            shift=self.shift,
        )


@dataclass(slots=True)
class Ending:
    """How a job has ended, until that is written."""

    job: DurableJob
    ended: DurableJob
    """What it will be."""
    result: str
    told: Callable[[], None]

    def stored(self) -> StoredJob:
        """What is written."""
        return self.ended.stored(self.result)


def durable(job: Job) -> DurableJob:
    """*job*, which a queue with a store has made."""
    return cast(DurableJob, job)


_CHANGED_AT_THE_END = (*SAME_IN_RECORD, "payload", "started", "finished", "shift", "finish_number")
