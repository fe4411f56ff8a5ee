"""Jobs that outlive their process: the `asyncio` queue, with a store behind it.

- A job is saved before ``submit`` returns, and its record before anybody is told of its end.
- Each start of the queue reads the store. What waited, or ran in a process that is gone,
  runs again, in the order of submission.
- A store that fails refuses new jobs. What it fails to keep of a job that was accepted is
  logged, and the job goes on: at worst it runs once more.
"""

from __future__ import annotations

import contextvars
import json
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from .._events.log import log_event
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.errors import BackendError, QueueClosedError
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus
from .._payload.form import FrozenPayload
from .._run.clock import as_datetime
from .._run.outcome import INTERRUPTED, Outcome, StopReason, failed, never_started
from .._run.run import JobRun
from .._text import describe, one_line
from .asyncio_queue import AsyncioJobQueue
from .in_process_queue import NoOptions
from .phase import Phase
from .scheduler import Slots
from .scripting import stand_in
from .store import JobStore, StoredJob
from .table import Job, JobTable

_NO_PAYLOAD = FrozenPayload({}, b"{}")


class StoredTable(JobTable):
    """The table, which writes down what changes."""

    store: JobStore | None = None
    """None while it is not open."""
    _stored: dict[str, StoredJob]
    _number = 0
    _ending: tuple[Job, Any] | None = None
    """The job that is being settled, with its result as plain JSON."""

    def save_new(self, job: Job) -> None:
        """Save *job*; raises what the store raises."""
        stored = StoredJob(
            job_id=job.job_id,
            job_type=job.job_type,
            number=self._next_number(),
            payload=job.payload.text.decode(),
            timeout=job.timeout,
            key=job.key,
            metadata=dict(job.metadata),
            submitted_at=cast(datetime, as_datetime(job.submitted)),
        )
        cast(JobStore, self.store).save(stored)
        self._stored[job.job_id] = stored

    def start(self, job: Job) -> None:
        self.save(job, deliveries=self._stored[job.job_id].deliveries + 1)
        super().start(job)

    def save(self, job: Job, **changes: Any) -> None:
        """Save what changed of *job*."""
        stored = self._stored[job.job_id].model_copy(update=changes)
        self._stored[job.job_id] = stored
        self._keep(job.job_id, lambda store: store.save(stored))

    def _settle(self, job: Job, outcome: Outcome) -> None:
        if self._ending is not None:  # a Ctrl-C came before it was saved
            self.repair()
        self._ending = job, self._plain(job, outcome)
        super()._settle(job, outcome)
        self._save_end()

    def _save_end(self) -> None:
        if self._ending is None:
            return
        job, plain = self._ending
        if job.finished is not None and job.job_id in self._stored:
            record = job.record().model_copy(update={"result": plain})
            self.save(job, payload="", record=record, end_number=self._next_number())
            del self._stored[job.job_id]
        self._ending = None

    def repair(self) -> None:
        super().repair()
        self._save_end()

    def _plain(self, job: Job, outcome: Outcome) -> Any:
        """The result as plain JSON; None where it cannot be written after all."""
        if outcome.result is None:
            return None
        try:
            return json.loads(job.handler.encode_result(outcome.result))
        except Exception as error:
            log_event(logging.ERROR, "store_failed", job_id=job.job_id, error=describe(error))
            return None

    def _drop_oldest(self) -> str:
        job_id = super()._drop_oldest()
        self._keep(job_id, lambda store: store.forget(job_id))
        return job_id

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
        """Know these jobs and no others."""
        pairs = sorted(pairs, key=_number)
        ended = sorted((pair for pair in pairs if pair[0].record), key=_end_number)
        self._number = max([pair[0].number for pair in pairs] + list(map(_end_number, ended)) + [0])
        self._jobs = {job.job_id: job for _, job in pairs}
        self._finished = deque(job for _, job in ended)
        self._stored = {stored.job_id: stored for stored, _ in pairs if not stored.record}
        self._keys = {}
        for job in map(self._jobs.__getitem__, self._stored):
            self.add(job)
        self._trim()


class StoredSlots(Slots):
    """The slots, which leave what waits in the store."""

    _table: StoredTable
    kept_as_is = frozenset()

    def keep_result(self, handler: JobType[..., Any], value: Any) -> Any:
        return handler.result_through_json(value)

    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        if run.reason is StopReason.CANCEL:
            self._table.save(run.job, cancel_requested=True)

    def _end_pending(self) -> None:
        for job in self.pending.all():
            job.forsake()

    def _end_lost(self) -> None:
        for job in self._table.live():
            if job.status is JobStatus.PENDING:
                job.forsake()
            else:
                self.end(job, INTERRUPTED)

    def fail(self, job: Job, outcome: Outcome) -> None:
        """Settle *job*, which cannot be run any more."""
        self._table.start(job)
        self.end(job, outcome)


class StoredJobQueue(AsyncioJobQueue, ABC):
    """Base of backends that keep their jobs outside the process, in a :class:`JobStore`.

    A subclass has a ``name``, which its errors and log lines say, and a store, which it makes
    in :meth:`make_store`; everything else is here. Jobs run in this process, and one process
    at a time has a store. When the queue stops, jobs that wait stay in the store. When it
    starts, also after a ``kill -9``, they run, and so do those that were running: a handler
    must bear to be called again. Results are JSON.
    """

    table_type = StoredTable
    slots_type = StoredSlots
    _table: StoredTable
    _slots: StoredSlots

    options_type: ClassVar[type[BaseModel]] = NoOptions
    """The pydantic model of ``settings.options``; the default refuses any. Forbid extra
    fields in it, or a misspelt option is ignored."""

    capabilities: ClassVar[Mapping[str, bool]] = {"durable": True}
    """What ``stoat-jobs check`` may expect: the attributes of ``JobQueueContract``."""

    max_deliveries: ClassVar[int] = 3
    """A job that had a slot so often and never ended takes its process with it, it seems, and
    is not run again: it is ``failed``, with the error type ``WorkerLost``."""

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        super().__init__(handlers, settings, observers)
        self._store = self.make_store()
        self._table.restore(())

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
        job = self._table.get(job_id)
        if job.forsaken and job.status is JobStatus.PENDING:
            raise QueueClosedError
        return await super().cancel(job_id)

    def _check_open(self) -> None:
        if self._phase is Phase.NEW:
            raise BackendError(
                self.name,
                "takes no jobs before its start: run the app's lifespan, or enter the queue with"
                " `async with queue:`",
            )
        super()._check_open()

    def _take_on(self, job: Job) -> None:
        try:
            self._table.save_new(job)
        except Exception as error:
            raise BackendError(self.name, f"cannot keep a job: {describe(error)}") from error
        super()._take_on(job)

    # The queue's own life.

    def _open(self) -> None:
        self._store.open()
        self._table.store = self._store
        self._restore_all()
        super()._open()

    def _shut(self) -> None:
        try:
            super()._shut()
        finally:
            self._table.store = None
            self._store.close()

    def _restore_all(self) -> None:
        kept = [(stored, self._restored(stored)) for stored in self._store.load()]
        self._table.restore(kept)
        waiting = sorted((pair for pair in kept if not pair[0].record), key=_number)
        self._slots.pending.put_back(job for stored, job in waiting if self._can_run(job, stored))

    def _restored(self, stored: StoredJob) -> Job:
        known = stored.job_type in self.handlers
        job = Job(
            stored.job_id,
            self.handlers.get(stored.job_type) if known else stand_in(stored.job_type),
            _NO_PAYLOAD,
            stored.timeout,
            stored.key,
            stored.metadata,
            # The wall clock may have gone back since.
            min(stored.submitted_at.timestamp(), self._clock.stamp()),
            contextvars.Context(),
        )
        job.shift = self._clock.shift
        job.cancel_requested = stored.cancel_requested
        if stored.record is not None:
            _finish(job, stored.record)
        return job

    def _can_run(self, job: Job, stored: StoredJob) -> bool:
        """Make *job* ready to run, or else settle it."""
        if stored.cancel_requested:
            self._slots.end(job, never_started(StopReason.CANCEL))
            return False
        try:
            handler = self.handlers.get(stored.job_type)
            text = stored.payload.encode()
            job.payload = FrozenPayload(handler.form.thaw(text), text)
        except Exception as error:  # the code has changed since
            self._slots.fail(job, failed(error))
            return False
        if stored.deliveries >= self.max_deliveries:
            self._slots.fail(job, _lost(stored.deliveries))
            return False
        if stored.deliveries:
            job_type = one_line(job.job_type, 200)
            log_event(logging.WARNING, "job_redelivered", job_id=job.job_id, job_type=job_type)
        return True


def _lost(deliveries: int) -> Outcome:
    text = f"its process ended {deliveries} times while it ran; it is not run again"
    return Outcome(JobStatus.FAILED, None, text, "WorkerLost")


def _number(pair: tuple[StoredJob, Job]) -> int:
    return pair[0].number


def _end_number(pair: tuple[StoredJob, Job]) -> int:
    return pair[0].end_number


def _finish(job: Job, record: JobResult[Any]) -> None:
    """Make *job* what *record* says."""
    for name in ("status", "error", "error_type", "progress", "message", "attempt"):
        setattr(job, name, getattr(record, name))
    job.cancel_requested = record.cancel_requested
    job.result = _decoded(job.handler, record.result)
    job.handler = None
    job.started = None if record.started_at is None else record.started_at.timestamp()
    job.finished = None if record.finished_at is None else record.finished_at.timestamp()


def _decoded(handler: JobType[..., Any], plain: Any) -> Any:
    """A result from its JSON, of the declared type if it still fits."""
    try:
        return handler.decode_result(json.dumps(plain).encode())
    except Exception:  # the code has changed since, or there is no result
        return plain
