"""What the in-process backends share: acceptance, reading, start and stop.

The queue belongs to the event loop that it was started in, until it is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import copy_context
from functools import partial
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from .._events.log import log_event
from .._events.observers import Observers
from .._jobs.context import is_running_here
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.errors import BackendError, QueueClosedError, QueueFullError
from .._model.options import (
    NO_METADATA,
    checked_job_type,
    checked_key,
    checked_limit,
    checked_metadata,
)
from .._model.records import JobResult, QueueStats, SubmittedEvent, SubmittingEvent
from .._model.settings import JobQueueSettings, check_timeout, required, without_input
from .._model.status import JobStatus, checked_status
from .._run.clock import Clock
from .._text import describe
from .event_loop import asyncio_loop, is_gone, outside
from .ids import new_job_id
from .phase import Phase
from .scheduler import Slots
from .table import Job, JobTable
from .waiting import Watch, until_terminal

# The second that promise 10 grants on top, in two halves.
_HALF_A_SECOND = 0.5

NO_PAYLOAD: Mapping[str, Any] = {}


_STARTED = Phase.STARTED


class NoOptions(BaseModel, frozen=True, extra="forbid"):
    """What the settings' ``options`` may say to most backends."""


class InProcessQueue:
    """Base of the in-process backends."""

    name: ClassVar[str]
    slots_type: ClassVar[type[Slots]] = Slots
    table_type: ClassVar[type[JobTable]] = JobTable
    options_type: ClassVar[type[BaseModel]] = NoOptions

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        self.handlers = required(JobHandlers, handlers, "handlers")
        self.settings = required(JobQueueSettings, settings, "settings")
        self.app: Any = None
        self._options: Any = self._checked_options()
        self._observers = Observers(observers)
        self._clock = Clock()
        self._table = self.table_type(
            self._clock, self.settings.result_ttl, self.settings.max_results
        )
        self._slots = self.slots_type(
            self, self.settings, self._concurrency(), self._table, self._clock, self._observers
        )
        self._slots.when_cut_off = self._end_if_orphaned
        self._phase = Phase.NEW
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner: asyncio.Task[Any] | None = None

    def _checked_options(self) -> BaseModel:
        try:
            return self.options_type.model_validate(self.settings.options)
        except ValidationError as error:
            hidden = without_input(error, f"settings of backend {self.name!r}", "options")
        raise hidden  # out here, so that no chain of causes leads to what it hides

    def _concurrency(self) -> int:
        return self.settings.concurrency

    # AsyncJobQueue and JobBackend.

    @property
    def started(self) -> bool:
        return self._phase is Phase.STARTED

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = NO_PAYLOAD,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        job, _ = self._accept(job_type, payload, timeout, key, metadata)
        return job.job_id

    async def get_status(self, job_id: str) -> JobStatus:
        job = self._table.get(job_id)
        if job.finished is None:
            await self._let_others_run()
        return job.status

    async def get_result(self, job_id: str) -> JobResult[Any]:
        job = self._table.get(job_id)
        if job.finished is None:
            await self._let_others_run()
        return job.record()

    async def cancel(self, job_id: str) -> bool:
        job = self._table.get(job_id)
        self._check_loop("cancel", job)
        return self._slots.cancel(job)

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        return Watch(partial(self._find_to_wait, job_id, "watch"))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        job = self._find_to_wait(job_id, "wait")
        await until_terminal(job, timeout)
        return job.record()

    async def list_jobs(
        self, *, status: JobStatus | None = None, job_type: str | None = None, limit: int = 100
    ) -> list[JobResult[Any]]:
        self._end_if_orphaned()
        limit = checked_limit(limit)
        # Others would find nothing, without a word.
        status, job_type = checked_status(status), checked_job_type(job_type)
        matching = (
            job.record()
            for job in self._table.newest_first()
            if status in (None, job.status) and job_type in (None, job.job_type)
        )
        return list(islice(matching, limit))

    async def stats(self) -> QueueStats:
        return QueueStats(
            by_status=self._table.counts(),
            abandoned=self._slots.abandoned(),
            slots_in_use=len(self._slots.running),
            concurrency=self._slots.concurrency,
        )

    async def _let_others_run(self) -> None:
        # Else a caller that asks for a live job again and again, as over httpx's ASGITransport,
        # holds the loop, and what it asks for never comes.
        self._end_if_orphaned()
        await asyncio.sleep(0)

    # Acceptance.

    def _accept(
        self,
        job_type: str,
        payload: Mapping[str, Any],
        timeout: float | None,
        key: str | None,
        metadata: Mapping[str, str] | None,
    ) -> tuple[Job, bool]:
        """The accepted job, and whether it is new."""
        if self._phase is not _STARTED or not is_running_here(self._loop):
            self._check_open()
        handler = self._handler(job_type)
        frozen = handler.form.freeze(payload, self.settings)
        limit = handler.timeout if timeout is None else check_timeout(timeout)
        key = key if key is None else checked_key(key)
        pairs = NO_METADATA if metadata is None else checked_metadata(metadata)
        holder = None if key is None else self._table.holder(handler.name, key)
        if holder is not None:
            return holder, False
        if self._slots.pending.full():
            raise QueueFullError(self.settings.max_pending)
        if self._observers.wants("submitting"):
            # A copy: what an observer does to it is not the handler's concern.
            seen = MappingProxyType(handler.form.thaw(frozen.text))
            pairs = self._observers.submitting(SubmittingEvent(handler.name, seen, pairs))
        limit = self.settings.timeout if limit is None else limit
        # By position: by keywords it took twice as long, 0.2 µs more.
        job = Job(
            new_job_id(), handler, frozen, limit, key, pairs, self._clock.stamp(), copy_context()
        )
        self._take_on(job)
        return job, True

    def _take_on(self, job: Job) -> None:
        self._table.add(job)
        try:
            if self._observers.wants("submitted"):
                event = SubmittedEvent(job.job_id, job.job_type, job.metadata)
                self._observers.tell("submitted", event)
        finally:  # a Ctrl-C in there must not leave a job that nobody runs
            self._slots.put(job)

    def _handler(self, job_type: str) -> JobType[..., Any]:
        return self.handlers.get(job_type)

    # The queue's own life.

    async def __aenter__(self) -> Self:
        self._end_if_orphaned()
        if self._phase in (Phase.STARTED, Phase.CLOSING):
            raise BackendError(self.name, "is started already; start a queue once, and share it")
        self._attach(asyncio_loop(self.name))
        try:
            self._open()
        except BaseException as error:
            self._slots.open = False
            self._slots.abandon_all()
            self._shut_after(error)
            if not isinstance(error, Exception):
                raise
            raise BackendError(self.name, f"cannot start: {describe(error)}") from error
        self._owner = asyncio.current_task()
        self._phase = Phase.STARTED
        self._log("worker_started")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._phase is not Phase.STARTED:
            return
        first = exc
        try:
            self._phase = Phase.CLOSING
            self._log("queue_draining")
            await self._drain()
        except BaseException as error:
            first = error
            raise
        finally:
            try:
                self._end_life(first)
            finally:  # again, for a Ctrl-C that comes in the first moment
                self._end_life(first)

    def _end_if_orphaned(self) -> None:
        """End a queue that nobody can leave any more, which Ctrl-C may bring about."""
        lives = self._phase in (Phase.STARTED, Phase.CLOSING)
        if lives and is_gone(self._loop, self._owner):
            self._end_life(None)

    def _end_life(self, first: BaseException | None) -> None:
        """Settle and close what is left, however the stop was cut short; *first* is by what."""
        if self._phase is Phase.CLOSED:
            return
        try:
            try:
                self._slots.settle_all()
            finally:  # again, for a Ctrl-C that comes in the first moment
                self._slots.settle_all()
        finally:
            try:
                self._shut_after(first)
            finally:
                self._phase = Phase.CLOSED
                self._owner = None  # what it raised keeps its frames
                self._log("worker_stopped")

    def _shut_after(self, first: BaseException | None) -> None:
        """Shut; what goes wrong is raised unless there is a *first* reason, which is reported."""
        try:
            self._shut()
        except Exception as error:
            if first is None:
                raise
            log_event(logging.ERROR, "shut_failed", backend=self.name, exc_info=error)

    def _open(self) -> None:
        """Let jobs run."""
        self._slots.open = True
        self._slots.fill()

    def _shut(self) -> None:
        """Undo :meth:`_open`; nothing runs any more."""

    async def _drain(self) -> None:
        slots = self._slots
        slots.close()
        await slots.idle(self.settings.drain_timeout)
        slots.stop_all()
        await slots.idle(2 * self.settings.cancel_grace + _HALF_A_SECOND)
        slots.abandon_all()
        await slots.tasks_ended(_HALF_A_SECOND)

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots.attach(loop)

    def _log(self, event: str) -> None:
        log_event(
            logging.INFO,
            event,
            backend=self.name,
            concurrency=self._slots.concurrency,
            pending=self._slots.pending.qsize(),
            running=len(self._slots.running),
        )

    # Checks.

    def _check_open(self) -> None:
        if self._phase in (Phase.CLOSING, Phase.CLOSED):
            raise QueueClosedError
        self._check_loop("submit")

    def _check_loop(self, method: str, job: Job | None = None) -> None:
        """Refuse a call from outside the loop that runs the queue; a settled job needs none."""
        if job is not None and job.status.is_terminal:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is self._loop and loop is not None:
            return
        if loop is None or self.started or self._slots.running:
            raise outside(method, loop)
        self._attach(loop)

    def _find_to_wait(self, job_id: str, method: str) -> Job:
        job = self._table.get(job_id)
        self._end_if_orphaned()
        self._check_loop(method, job)
        return job
