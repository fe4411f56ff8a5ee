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
    JobType,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    SubmittedEvent,
    SubmittingEvent,
)
from stoat_jobs.backends import (
    KeptPayload,
    check_timeout,
    checked_delay,
    checked_key,
    checked_metadata,
    digest_of,
    frozen_payloads,
    is_kept,
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
    ) -> str:
        options = {"timeout": timeout, "metadata": metadata, "delay": delay}
        return self._accept(job_type, payload, key, unique, options)

    def _accept(
        self,
        job_type: str,
        payload: Mapping[str, Any],
        key: str | None,
        unique: str,
        options: dict[str, Any],
        origin: SharedJob | None = None,
    ) -> str:
        """The id of the accepted job, or of the one that holds the key and is not *origin*."""
        self._check_open()
        handler = self.handlers.get(job_type)
        frozen = handler.form.freeze(payload, self.settings)
        job = SharedJob(handler.name, frozen, **self._checked(handler, **options))
        job.key = checked_key(key)
        job.keeps_key = is_kept(unique, job.key)
        job.digest = digest_of(frozen) if job.key else ""
        self.expire()
        holder = self._engine.holder(job)
        if holder is not None and holder is not origin:
            return holder.job_id
        self._check_room(1)
        self._take_on([job])
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
        self._check_open()
        handler = self.handlers.get(job_type)
        frozen = await frozen_payloads(handler, payloads, self.settings)
        options = self._checked(handler, timeout=timeout, metadata=metadata, delay=delay)
        self._check_open()  # once more, as turns were given up
        self._check_room(len(frozen))
        jobs = [SharedJob(handler.name, each, **options) for each in frozen]
        self._take_on(jobs)
        return [job.job_id for job in jobs]

    async def resubmit(self, job_id: str) -> str:
        job = self.find(job_id)
        if not job.status.is_terminal:
            raise ValueError(f"job {job_id} is {job.status}: only a finished job is resubmitted")
        if not isinstance(job.payload, KeptPayload):
            raise PayloadNotKeptError(job_id, job.job_type)
        payload = self.handlers.get(job.job_type).form.thaw(job.payload.text)
        metadata = {**job.metadata, "resubmitted_from": job_id}
        options = {"timeout": job.timeout, "metadata": metadata}
        unique = "kept" if job.keeps_key else "live"
        return self._accept(job.job_type, payload, job.key, unique, options, origin=job)

    def _take_on(self, jobs: list[SharedJob]) -> None:
        """Let *jobs* wait in the engine, and start what may start."""
        for job in jobs:
            limit = self.settings.max_metadata_bytes
            job.metadata = self._observers.submitting(self._submitting(job), limit)
        for job in jobs:
            self._engine.add(job)
        for job in jobs:
            event = SubmittedEvent(job.job_id, job.job_type, job.metadata)
            self._observers.tell("submitted", event)
        self._engine.fill()

    def _submitting(self, job: SharedJob) -> SubmittingEvent:
        seen = self.handlers.get(job.job_type).form.thaw(job.payload.text)
        return SubmittingEvent(job.job_type, MappingProxyType(seen), job.metadata)

    def find(self, job_id: str) -> SharedJob:
        """The job with this id; raises JobNotFoundError."""
        self.expire()
        return self._engine.get(job_id)

    # Checks.

    def _checked(
        self,
        handler: JobType[..., Any],
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
    ) -> dict[str, Any]:
        """What a job has of the options of its submission."""
        limit = handler.timeout if timeout is None else check_timeout(timeout)
        return {
            "timeout": self.settings.timeout if limit is None else limit,
            "metadata": checked_metadata(metadata, self.settings.max_metadata_bytes),
            "delay": 0.0 if delay is None else checked_delay(delay),
        }

    def _check_room(self, number: int) -> None:
        if len(self._engine.waiting) + number > (self.settings.max_pending or math.inf):
            raise QueueFullError(self.settings.max_pending)

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
