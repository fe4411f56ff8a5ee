"""The index of a queue that keeps its jobs outside the process: it also saves what changes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

from .._events.log import log_event
from .._payload.frozen import KeptPayload
from .._run.clock import as_datetime
from .._run.outcome import Outcome
from .._text import describe
from .job import Job
from .job_index import JobIndex
from .keys import Keys
from .store import JobStore, StoredJob, save_all


class StoredIndex(JobIndex):
    """The index, which also saves what changes."""

    store: JobStore | None = None
    """None while it is not open."""
    _stored: dict[str, StoredJob]
    _number = 0
    _finishing: tuple[Job, Any] | None = None
    """The job that is finishing, with its result as plain JSON."""

    def save_new(self, jobs: list[Job], digest: str = "") -> None:
        """Save all of *jobs*, or none; raises what the store raises."""
        new = [self._new(job, digest) for job in jobs]
        save_all(cast(JobStore, self.store), new)
        self._stored.update([(stored.job_id, stored) for stored in new])

    def _new(self, job: Job, digest: str) -> StoredJob:
        return StoredJob(
            job_id=job.job_id,
            job_type=job.job_type,
            number=self._next_number(),
            payload=job.payload.text.decode(),
            timeout=job.timeout,
            key=job.key,
            metadata=dict(job.metadata),
            submitted_at=cast(datetime, as_datetime(job.submitted)),
            submitted=job.submitted,
            not_before=as_datetime(job.not_before),
            unique="kept" if digest else "live",
            payload_digest=digest,
        )

    def keep_key(self, job: Job, digest: str) -> None:
        super().keep_key(job, digest)
        self.save(job, unique="kept", payload_digest=digest)

    def start(self, job: Job) -> None:
        self.save(job, deliveries=self._stored[job.job_id].deliveries + 1)
        super().start(job)

    def save(self, job: Job, **changes: Any) -> None:
        """Save what changed of *job*."""
        stored = self._stored[job.job_id].model_copy(update=changes)
        self._stored[job.job_id] = stored
        self._keep(job.job_id, lambda store: store.save(stored))

    def _write(self, job: Job, outcome: Outcome) -> None:
        if self._finishing is not None:  # a Ctrl-C came before it was saved
            self.repair()
        self._finishing = job, self._plain(job, outcome)
        super()._write(job, outcome)
        self._save_finish()

    def _save_finish(self) -> None:
        if self._finishing is None:
            return
        job, plain = self._finishing
        if job.is_finished and job.job_id in self._stored:
            record = job.record().model_copy(update={"result": plain, "payload": None})
            kept = job.payload.text.decode() if isinstance(job.payload, KeptPayload) else ""
            self.save(job, payload=kept, record=record, finish_number=self._next_number())
            del self._stored[job.job_id]
        self._finishing = None

    def repair(self) -> None:
        super().repair()
        self._save_finish()

    def _plain(self, job: Job, outcome: Outcome) -> Any:
        """The result as plain JSON; None where it cannot be written after all."""
        if outcome.result is None:
            return None
        try:
            return json.loads(job.definition.encode_result(outcome.result))
        except Exception as error:
            log_event(logging.ERROR, "store_failed", job_id=job.job_id, error=describe(error))
            return None

    def _forget(self, job: Job) -> None:
        super()._forget(job)
        self._keep(job.job_id, lambda store: store.forget(job.job_id))

    def _keep(self, job_id: str, keep: Callable[[JobStore], None]) -> None:
        if self.store is None:
            return  # a record that grew too old meanwhile; the next start forgets it
        try:
            keep(self.store)
        except Exception as error:
            log_event(logging.ERROR, "store_failed", job_id=job_id, error=describe(error))

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def restore(self, pairs: Iterable[tuple[StoredJob, Job]]) -> None:
        """Register these jobs and no others."""
        pairs = sorted(pairs, key=number_of)
        finished = sorted((pair for pair in pairs if pair[0].record), key=_finish_number)
        numbers = [*map(number_of, pairs), *map(_finish_number, finished)]
        self._number = max(numbers, default=0)
        self._jobs = {job.job_id: job for _, job in pairs}
        self._stored = {stored.job_id: stored for stored, _ in pairs if not stored.record}
        self.keys = Keys()
        for stored, job in pairs:
            if job.key is not None and (stored.unique == "kept" or not stored.record):
                self.keys.hold(job, stored.payload_digest)
        self.retention.replace(job for _, job in finished)


def number_of(pair: tuple[StoredJob, Job]) -> int:
    """The place of a job in the order of acceptance."""
    return pair[0].number


def _finish_number(pair: tuple[StoredJob, Job]) -> int:
    return pair[0].finish_number
