"""How one of the queues on an engine accepts jobs, for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Literal

from stoat_jobs import (
    JobHandlers,
    JobQueueSettings,
    NoTransactionsError,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    SubmittedEvent,
)
from stoat_jobs.backends import (
    KeptPayload,
    Submission,
    check_loop,
    checked_submission,
    checked_submissions,
)

from .shared_engine import SharedJob
from .shared_slots import SharedSlots


class Life(Enum):
    """Where in its life a queue is."""

    NEW = auto()
    STARTED = auto()
    CLOSING = auto()
    CLOSED = auto()


class SharedSubmits(SharedSlots):
    """What one of the queues lets in."""

    name = "shared"

    def __init__(
        self, settings: JobQueueSettings, handlers: JobHandlers, observers: Iterable[Any]
    ) -> None:
        super().__init__(settings, handlers, observers)
        self._life = Life.NEW

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = MappingProxyType({}),
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Literal["live", "kept"] = "live",
        connection: Any = None,
    ) -> str:
        self._check_open(connection)
        definition = self.handlers.get(job_type)
        new = checked_submission(
            definition,
            self.settings,
            payload,
            timeout=timeout,
            key=key,
            metadata=metadata,
            delay=delay,
            unique=unique,
        )
        return self._accept(new)

    def _accept(self, new: Submission, origin: SharedJob | None = None) -> str:
        """The id of the accepted job, or of the one that holds the key and is not *origin*."""
        self.expire()
        holder = self._engine.holder(new)
        if holder is not None and holder is not origin:
            return holder.job_id
        (job,) = self._take_on([new])
        return job.job_id

    async def submit_many(
        self,
        job_type: str,
        payloads: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        connection: Any = None,
    ) -> list[str]:
        self._check_open(connection)
        definition = self.handlers.get(job_type)
        several = await checked_submissions(
            definition, self.settings, payloads, timeout=timeout, metadata=metadata, delay=delay
        )
        self._check_open()  # once more, as turns were given up
        return [job.job_id for job in self._take_on(several)]

    async def resubmit(self, job_id: str) -> str:
        job = self.find(job_id)
        if not job.status.is_terminal:
            raise ValueError(f"job {job_id} is {job.status}: only a finished job is resubmitted")
        if not isinstance(job.payload, KeptPayload):
            raise PayloadNotKeptError(job_id, job.job_type)
        self._check_open()
        definition = self.handlers.get(job.job_type)
        new = checked_submission(
            definition,
            self.settings,
            definition.form.thaw(job.payload.text),
            timeout=job.timeout,
            key=job.key,
            metadata={**job.metadata, "resubmitted_from": job_id},
            unique="kept" if job.keeps_key else "live",
        )
        return self._accept(new, origin=job)

    def _take_on(self, several: list[Submission]) -> list[SharedJob]:
        """Let these wait in the engine, if there is room for all; start what may start."""
        if len(self._engine.waiting) + len(several) > (self.settings.max_pending or math.inf):
            raise QueueFullError(self.settings.max_pending)
        for new in several:
            new.tell_submitting(self._observers, self.settings)
        jobs = list(map(SharedJob, several))
        for job in jobs:
            self._engine.add(job)
        for job in jobs:
            event = SubmittedEvent(job.job_id, job.job_type, job.metadata)
            self._observers.tell("submitted", event)
        self._engine.fill()
        return jobs

    def find(self, job_id: str) -> SharedJob:
        """The job with this id; raises JobNotFoundError."""
        self.expire()
        return self._engine.get(job_id)

    # Checks.

    def _check_open(self, connection: Any = None) -> None:
        if self._life is Life.NEW:
            raise QueueNotStartedError(self.name)
        if self._life is not Life.STARTED:
            raise QueueClosedError
        self.check_loop("submit")
        if connection is not None:
            raise NoTransactionsError(self.name)

    def check_loop(self, method: str) -> None:
        """Refuse a call from outside the event loop of this queue."""
        if self._life is Life.STARTED:
            check_loop(method, self.loop)
