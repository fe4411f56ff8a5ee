"""How one of the queues on an engine accepts jobs, for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Literal

from stoat_jobs import (
    JobHandlers,
    JobQueueSettings,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    SubmittedEvent,
    SubmittingEvent,
)
from stoat_jobs.backends import KeptPayload, check_timeout, checked_key, checked_metadata

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
    ) -> str:
        self._check_open()
        handler = self.handlers.get(job_type)
        frozen = handler.form.freeze(payload, self.settings)
        if handler.keep_payload:
            frozen = frozen.to_keep()
        limit = handler.timeout if timeout is None else check_timeout(timeout)
        key = None if key is None else checked_key(key)
        pairs = checked_metadata({} if metadata is None else metadata)
        if holder := self._engine.holder(handler.name, key):
            return holder.job_id
        if len(self._engine.waiting) >= (self.settings.max_pending or math.inf):
            raise QueueFullError(self.settings.max_pending)
        seen = MappingProxyType(handler.form.thaw(frozen.text))
        pairs = self._observers.submitting(SubmittingEvent(handler.name, seen, pairs))
        limit = self.settings.timeout if limit is None else limit
        job = SharedJob(handler.name, frozen, limit, key, pairs)
        self._engine.add(job)
        self._observers.tell("submitted", SubmittedEvent(job.job_id, job.job_type, job.metadata))
        self._engine.fill()
        return job.job_id

    async def submit_many(
        self,
        job_type: str,
        payloads: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
    ) -> list[str]:
        raise NotImplementedError

    async def resubmit(self, job_id: str) -> str:
        job = self.find(job_id)
        if not job.status.is_terminal:
            raise ValueError(f"job {job_id} is {job.status}: only a finished job is resubmitted")
        if not isinstance(job.payload, KeptPayload):
            raise PayloadNotKeptError(job_id, job.job_type)
        return await self.submit(
            job.job_type,
            self.handlers.get(job.job_type).form.thaw(job.payload.text),
            timeout=job.timeout,
            key=job.key,
            metadata={**job.metadata, "resubmitted_from": job_id},
        )

    def find(self, job_id: str) -> SharedJob:
        """The job with this id; raises JobNotFoundError."""
        self.expire()
        return self._engine.get(job_id)

    # Checks.

    def _check_open(self) -> None:
        if self._life is Life.NEW:
            raise QueueNotStartedError(self.name)
        if self._life is not Life.STARTED:
            raise QueueClosedError
        self.check_loop("submit")

    def check_loop(self, method: str) -> None:
        """Refuse a call from outside the event loop of this queue."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if self._life is Life.STARTED and loop is not self.loop:
            raise RuntimeError(
                f"{method}() was called outside the event loop that runs the queue: in a sync"
                f" handler use ctx.from_thread(ctx.queue.{method}, ...)"
            )
