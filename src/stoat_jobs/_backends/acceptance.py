"""How a queue accepts jobs: every check of a submission, in its order, and then all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextvars import copy_context
from datetime import timedelta
from math import inf, nextafter
from threading import get_ident
from types import MappingProxyType
from typing import Any, ClassVar

from .._events.observers import Observers
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._jobs.protocols import Unique
from .._model.errors import QueueClosedError, QueueFullError, UnknownJobTypeError
from .._model.events import SubmittedEvent, SubmittingEvent
from .._model.metadata import NO_METADATA, ORIGIN, ORIGIN_BYTES, checked_metadata
from .._model.options import checked_delay, checked_key, is_kept
from .._model.settings import check_timeout
from .._payload.digest import digest_of
from .._payload.frozen import FrozenPayload
from .._run.clock import Clock
from .ids import new_job_id
from .job import Job
from .job_index import JobIndex
from .lifecycle import QueueLifecycle
from .loop_checks import outside
from .payloads import frozen_payloads
from .phase import CLOSED, CLOSING, STARTED


class Acceptance(QueueLifecycle):
    """How an in-process queue accepts jobs."""

    handlers: JobHandlers
    _new_job: ClassVar[type[Job]] = Job
    _index: JobIndex
    _clock: Clock
    _observers: Observers

    def _accept(
        self,
        job_type: str,
        payload: Mapping[str, Any],
        timeout: float | None,
        key: str | None,
        metadata: Mapping[str, Any] | None,
        delay: Any,
        unique: Unique,
    ) -> tuple[Job, bool]:
        """The accepted job, or the one that holds the key; and whether it is new."""
        if (
            self._scheduler.phase is not STARTED
            or get_ident() != self._thread  # as in _is_here, which would be a call more
            or not self._scheduler.loop.is_running()
        ):
            self._check_open()
        try:
            definition = self.handlers.get(job_type)
        except UnknownJobTypeError:
            definition = self._stand_in(job_type)
        frozen = definition.form.freeze(payload, self.settings)
        limit = definition.timeout if timeout is None else check_timeout(timeout)
        meta = NO_METADATA if metadata is None else self._checked_metadata(metadata)
        digest = ""
        if key is not None or delay is not None or unique != "live":
            key, digest, delay = _checked(key, unique, frozen, delay)
            holder = self._index.holder(definition.name, key, digest) if key else None
            if holder is not None:
                return holder, False
        pending = self._scheduler.pending
        if len(pending.places) + pending.elsewhere >= pending.maxsize and pending.full():
            raise QueueFullError(self.settings.max_pending)
        if self._observers.wants["submitting"]():
            meta = self._tell_submitting(definition, frozen, meta)
        limit = self.settings.timeout if limit is None else limit
        index, stamp = self._index, self._clock.stamp()
        name, shift = definition.name, self._clock.shift
        if stamp <= index.last_submitted:
            stamp = nextafter(index.last_submitted, inf)
        index.last_submitted = stamp
        # By position: keywords take twice as long, 0.2 µs more.
        job = self._new_job(
            new_job_id(), name, definition, frozen, limit, key, meta, copy_context(), stamp, shift
        )
        if delay:
            job.delay = index.shared(delay)
        self._take_on(job, digest)
        return job, True

    def _tell_submitting(
        self, definition: JobType[..., Any], frozen: FrozenPayload, metadata: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        # A copy: what an observer does to it must not reach the handler.
        seen = MappingProxyType(definition.form.thaw(frozen.text))
        event = SubmittingEvent(definition.name, seen, metadata)
        return self._observers.submitting(event, self.settings.max_metadata_bytes)

    def _checked_metadata(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        # What a resubmission adds always has room, or a job at the limit could not be repeated.
        room = ORIGIN_BYTES if type(metadata) is dict and ORIGIN in metadata else 0
        return checked_metadata(metadata, self.settings.max_metadata_bytes + room)

    def _take_on(self, job: Job, digest: str) -> None:
        self._index.add(job, digest)
        try:
            if self._observers.wants["submitted"]():
                self._tell_submitted(job)
        finally:  # a Ctrl-C in there must not leave a job that nobody runs
            self._scheduler.put(job)

    def _tell_submitted(self, job: Job) -> None:
        event = SubmittedEvent(job.job_id, job.job_type, job.metadata)
        self._observers.tell("submitted", event)

    async def _accept_many(
        self,
        job_type: str,
        payloads: Iterable[Mapping[str, Any]],
        timeout: float | None,
        metadata: Mapping[str, Any] | None,
        delay: float | timedelta | None,
    ) -> list[Job]:
        """The accepted jobs, one for each of *payloads*."""
        self._check_open()
        try:
            definition = self.handlers.get(job_type)
        except UnknownJobTypeError:
            definition = self._stand_in(job_type)
        frozen = await frozen_payloads(definition, payloads, self.settings)
        limit = definition.timeout if timeout is None else check_timeout(timeout)
        seconds = delay if delay is None else checked_delay(delay)
        meta = NO_METADATA if metadata is None else self._checked_metadata(metadata)
        self._check_open()  # once more, as turns were given up; from here on it is one piece
        pending = self._scheduler.pending
        if len(pending) + len(frozen) > pending.maxsize:
            raise QueueFullError(self.settings.max_pending)
        jobs = [self._one_of_many(definition, each, limit, meta, seconds) for each in frozen]
        self._take_on_many(jobs)
        return jobs

    def _one_of_many(
        self,
        definition: JobType[..., Any],
        frozen: FrozenPayload,
        limit: float | None,
        metadata: Mapping[str, Any],
        seconds: float | None,
    ) -> Job:
        if self._observers.wants["submitting"]():
            metadata = self._tell_submitting(definition, frozen, metadata)
        submitted = self._index.next_submitted(self._clock.stamp())
        return self._new_job(
            job_id=new_job_id(),
            job_type=definition.name,
            definition=definition,
            payload=frozen,
            timeout=self.settings.timeout if limit is None else limit,
            key=None,
            metadata=metadata,
            variables=copy_context(),
            submitted=submitted,
            shift=self._clock.shift,
            delay=seconds or None,
        )

    def _take_on_many(self, jobs: list[Job]) -> None:
        self._index.add_all(jobs)
        try:
            if self._observers.wants["submitted"]():
                for job in jobs:
                    self._tell_submitted(job)
        finally:  # as for one
            self._scheduler.put_all(jobs)

    def _stand_in(self, job_type: str) -> JobType[..., Any]:
        """What stands in for the handler of *job_type*, which is not registered.

        Raises:
            UnknownJobTypeError: nothing does.
        """
        return self.handlers.get(job_type)

    # Checks.

    def _check_open(self) -> None:
        if self._scheduler.phase in (CLOSING, CLOSED):
            raise QueueClosedError
        self._check_loop("submit")

    def _check_loop(self, method: str, job: Job | None = None) -> None:
        """Refuse a call from outside the queue's event loop, unless *job* has finished."""
        if self._is_here() or (job is not None and job.is_finished):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is self._loop and loop is not None:
            self._thread = get_ident()  # in which the loop runs by now
            return
        if loop is None or self.started or self._scheduler.running:
            raise outside(method, loop)
        self._attach(loop)


def _checked(
    key: str | None, unique: str, payload: FrozenPayload, delay: Any
) -> tuple[str | None, str, float]:
    """The key and, if it is kept, the digest of *payload*; the seconds of the delay."""
    key = checked_key(key)
    digest = digest_of(payload) if is_kept(unique, key) else ""
    return key, digest, 0.0 if delay is None else checked_delay(delay)
