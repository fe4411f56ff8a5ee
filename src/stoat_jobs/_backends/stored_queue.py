"""Jobs that outlive their process: the `asyncio` queue, with a store behind it.

- A job is saved before ``submit`` returns, and its record before anybody is told that it finished.
- Each start of the queue reads the store. What waited, or ran in a process that is gone,
  runs again, in the order of submission.
- If the store fails, new jobs are refused. What it fails to keep of an accepted job is logged,
  and the job goes on: at worst it runs once more.
"""

from __future__ import annotations

import contextvars
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from pydantic import BaseModel

from .._events.log import log_event
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.capabilities import Capabilities
from .._model.errors import JobNotKeptError, QueueClosedError, QueueNotStartedError
from .._model.metadata import read_only
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus
from .._payload.frozen import FrozenPayload, KeptPayload
from .._run.job_run import JobRun
from .._run.outcome import INTERRUPTED, Outcome, StopReason, failed, never_started
from .._text import describe, one_line
from .asyncio_queue import AsyncioJobQueue
from .in_process_queue import NoOptions
from .job import SAME_IN_RECORD, Job
from .job_index import JobIndex
from .phase import NEW
from .scheduler import Scheduler
from .scripted_outcomes import stand_in
from .store import JobStore, StoredJob
from .stored_index import StoredIndex, number_of

_NO_PAYLOAD = FrozenPayload({}, b"{}")
_AHEAD_S = 1.0


class StoredScheduler(Scheduler):
    """The scheduler, which leaves what waits in the store."""

    _index: StoredIndex
    kept_as_is = frozenset()

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value, self.queue.settings.max_result_bytes)

    def metadata_updated(self, run: JobRun[Job], metadata: Mapping[str, Any]) -> None:
        super().metadata_updated(run, metadata)
        self._index.save(run.job, metadata=dict(metadata))

    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        if run.reason is StopReason.CANCEL:
            self._index.save(run.job, cancel_requested=True)

    def _close_rest(self) -> None:
        for job in self.pending:
            self._close(job)

    def _close(self, job: Job) -> None:
        if not job.left_in_store:
            job.leave_in_store()

    def _finish_lost(self) -> None:
        for job in self._index.live():
            if job.status is JobStatus.PENDING:
                job.leave_in_store()
            else:
                self.finish(job, INTERRUPTED)

    def fail(self, job: Job, outcome: Outcome) -> None:
        """Finish *job*, which cannot be run any more."""
        self._index.start(job)
        self.finish(job, outcome)


class StoredJobQueue(AsyncioJobQueue, ABC):
    """Base of backends that keep their jobs outside the process, in a :class:`JobStore`.

    A subclass has a ``name``, which its errors and log lines say, and makes its store in
    :meth:`make_store`; everything else is here. Jobs run in this process, and only one process
    at a time has a store open. When the queue stops, pending jobs stay in the store. When it
    starts, also after a ``kill -9``, they run, and so do those that were running: delivery is
    at-least-once, so make handlers idempotent. Results are JSON.
    """

    _index_type: ClassVar[type[JobIndex]] = StoredIndex
    _scheduler_type: ClassVar[type[Scheduler]] = StoredScheduler
    _index: StoredIndex
    _scheduler: StoredScheduler

    options_type: ClassVar[type[BaseModel]] = NoOptions
    """The pydantic model of ``settings.options``; the default refuses any. Forbid extra fields
    in yours, or a misspelt option is ignored."""

    capabilities: Capabilities = Capabilities(durable=True)

    max_deliveries: ClassVar[int] = 3
    """After so many starts without a finish, a job is ``failed`` with the error type
    ``WorkerLost`` instead of being run again: it probably kills its process."""

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        super().__init__(handlers, settings, observers)
        self._store = self.make_store()
        self._index.restore(())

    @property
    def options(self) -> Any:
        """``settings.options``, checked: an :attr:`options_type`."""
        return self._options

    @abstractmethod
    def make_store(self) -> JobStore:
        """The store, as ``self.settings`` and ``self.options`` say, not yet open; called once.

        Raise ``BackendError`` for settings that cannot be right.
        """

    async def cancel(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        if job.left_in_store and job.status is JobStatus.PENDING:
            raise QueueClosedError
        return await super().cancel(job_id)

    def _check_open(self) -> None:
        if self._scheduler.phase is NEW:
            raise QueueNotStartedError(self.name)
        super()._check_open()

    def _take_on(self, job: Job, digest: str) -> None:
        self._save_new([job], digest)
        super()._take_on(job, digest)

    def _take_on_many(self, jobs: list[Job]) -> None:
        self._save_new(jobs)
        super()._take_on_many(jobs)

    def _save_new(self, jobs: list[Job], digest: str = "") -> None:
        try:
            self._index.save_new(jobs, digest)
        except Exception as error:
            raise JobNotKeptError(self.name, describe(error)) from error

    # The queue's own life.

    def _open(self) -> None:
        self._store.open()
        self._index.store = self._store
        self._restore_all()
        super()._open()

    def _shut(self) -> None:
        try:
            super()._shut()
        finally:
            self._index.store = None
            self._store.close()

    def _restore_all(self) -> None:
        self._index.last_submitted = 0.0
        in_order = sorted(self._store.load(), key=attrgetter("number"))
        kept = [(stored, self._restored(stored)) for stored in in_order]
        self._index.restore(kept)
        waiting = sorted((pair for pair in kept if not pair[0].record), key=number_of)
        self._scheduler.pending.replace(
            job for stored, job in waiting if self._can_run(job, stored)
        )

    def _restored(self, stored: StoredJob) -> Job:
        known = stored.job_type in self.handlers
        job = Job(
            job_id=stored.job_id,
            job_type=stored.job_type,
            definition=self.handlers.get(stored.job_type) if known else stand_in(stored.job_type),
            payload=_kept_payload(stored),
            timeout=stored.timeout,
            key=stored.key,
            metadata=read_only(stored.metadata),
            variables=contextvars.Context(),
            submitted=self._index.next_submitted(self._time_of(stored)),
            cancel_requested=stored.cancel_requested,
            shift=self._clock.shift,
        )
        if stored.not_before is not None:
            job.delay = stored.not_before.timestamp() - job.submitted
        if stored.record is not None:
            _finish(job, stored.record)
        elif not job.definition.keep_payload:
            job.payload = _NO_PAYLOAD
        return job

    def _time_of(self, stored: StoredJob) -> float:
        """When *stored* was submitted, or now, if the wall clock has gone back since.

        Jobs of one instant are a little ahead of it, so a little is no sign of that.
        """
        submitted, now = stored.submitted or stored.submitted_at.timestamp(), self._clock.stamp()
        return submitted if submitted < now + _AHEAD_S else now

    def _can_run(self, job: Job, stored: StoredJob) -> bool:
        """Make *job* ready to run, or else finish it."""
        if stored.cancel_requested:
            self._scheduler.finish(job, never_started(StopReason.CANCEL))
            return False
        try:
            definition = self.handlers.get(stored.job_type)
            text = stored.payload.encode()
            job.payload = definition.form.payload_type(definition.form.thaw(text), text)
        except Exception as error:  # the code has changed since
            self._scheduler.fail(job, failed(error))
            return False
        if stored.deliveries >= self.max_deliveries:
            self._scheduler.fail(job, _lost(stored.deliveries))
            return False
        if stored.deliveries:
            job_type = one_line(job.job_type, 200)
            log_event(logging.WARNING, "job_redelivered", job_id=job.job_id, job_type=job_type)
        return True


def _lost(deliveries: int) -> Outcome:
    text = f"its process ended {deliveries} times while it ran; it is not run again"
    return Outcome(JobStatus.FAILED, None, text, "WorkerLost")


def _kept_payload(stored: StoredJob) -> FrozenPayload:
    return KeptPayload({}, stored.payload.encode()) if stored.payload else _NO_PAYLOAD


def _finish(job: Job, record: JobResult[Any]) -> None:
    """Make *job* what *record* says."""
    for name in SAME_IN_RECORD:
        setattr(job, name, getattr(record, name))
    job.metadata = read_only(record.metadata)
    job.result = _decoded(job.definition, record.result)
    job.started = None if record.started_at is None else record.started_at.timestamp()
    job.finished = None if record.finished_at is None else record.finished_at.timestamp()
    job.drop_live_fields()


def _decoded(definition: JobType[..., Any], plain: Any) -> Any:
    """A result from its JSON, of the declared type if it still fits."""
    try:
        return definition.decode_result(json.dumps(plain).encode())
    except Exception:  # the code has changed since, or there is no result
        return plain
