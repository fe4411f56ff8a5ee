"""What the in-process backends share: accepting jobs, reading and cancelling them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from .._events.log import log_event
from .._events.observers import Observers
from .._jobs.handlers import JobHandlers
from .._jobs.protocols import JobTypes, MetadataFilter, Statuses, Unique
from .._model.capabilities import Capabilities
from .._model.errors import (
    PayloadNotKeptError,
)
from .._model.filters import JobFilter
from .._model.metadata import ORIGIN
from .._model.options import (
    checked_limit,
)
from .._model.pages import JobPage, place_of
from .._model.records import JobResult
from .._model.settings import JobQueueSettings, required, without_input
from .._model.stats import QueueStats
from .._model.status import TERMINAL, JobStatus
from .._payload.frozen import FrozenPayload, KeptPayload
from .._run.clock import Clock
from .._text import SHOWN_LIMIT, one_line
from .acceptance import Acceptance
from .job import Job
from .job_index import JobIndex
from .listing import cancel_each, page_of
from .scheduler import Scheduler
from .type_counts import TypeCounts
from .waiting import Watch, until_finished

NO_PAYLOAD: Mapping[str, Any] = {}


class NoOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` of most backends: none."""


class InProcessQueue(Acceptance):
    """Base of the in-process backends."""

    name: ClassVar[str]
    capabilities: Capabilities
    _scheduler_type: ClassVar[type[Scheduler]] = Scheduler
    _index_type: ClassVar[type[JobIndex]] = JobIndex
    options_type: ClassVar[type[BaseModel]] = NoOptions

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        self.handlers: JobHandlers = required(JobHandlers, handlers, "handlers")
        self.settings: JobQueueSettings = required(JobQueueSettings, settings, "settings")
        self.app: Any = None
        self._options: Any = self._checked_options()
        self._observers = Observers(observers)
        self._old_owners = []
        self._clock = Clock()
        self._index = self._index_type(
            self._clock, self.settings.result_ttl, self.settings.max_results, self._observers
        )
        self._type_counts = TypeCounts()
        self._scheduler = self._scheduler_type(
            self, self.settings, self._concurrency(), self._index, self._clock, self._observers
        )
        self._scheduler.cancelled_externally = self._end_if_orphaned

    def _checked_options(self) -> BaseModel:
        try:
            return self.options_type.model_validate(self.settings.options)
        except ValidationError as error:
            hidden = without_input(error, f"settings of backend {self.name!r}", "options")
        raise hidden  # out here, so that no chained exception shows what it hides

    def _concurrency(self) -> int:
        return self.settings.concurrency

    # AsyncJobQueue and JobBackend.

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = NO_PAYLOAD,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Unique = "live",
        connection: Any = None,
    ) -> str:
        job, _ = self._accept(job_type, payload, timeout, key, metadata, delay, unique, connection)
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
        jobs = await self._accept_many(job_type, payloads, timeout, metadata, delay, connection)
        return [job.job_id for job in jobs]

    async def get_status(self, job_id: str) -> JobStatus:
        job = self._index.get(job_id)
        if job.status not in TERMINAL:
            await self._let_others_run()
        return job.status

    async def get_result(self, job_id: str) -> JobResult[Any]:
        job = self._index.get(job_id)
        if job.status not in TERMINAL:
            await self._let_others_run()
        return job.record()

    async def cancel(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        self._check_loop("cancel", job)
        return self._scheduler.cancel(job)

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        return Watch(partial(self._find_to_wait, job_id, "watch"))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        job = self._find_to_wait(job_id, "wait")
        await until_finished(job, self._scheduler.loop, timeout)
        return job.record()

    async def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        self._end_if_orphaned()
        limit = checked_limit(limit)
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        place = None if before is None else place_of(before)
        # One more than asked for shows whether there is another page.
        jobs = self._index.newest(limit + 1 if wanted.is_open else None, place)
        return await self._page(jobs, wanted, limit) if limit else JobPage([], before)

    async def _page(self, jobs: list[Job], wanted: JobFilter, limit: int) -> JobPage[Any]:
        return await page_of(jobs, wanted, limit)

    async def cancel_all(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
    ) -> int:
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        self._end_if_orphaned()
        self._check_loop("cancel_all")
        return await cancel_each(self._index.kept(), wanted, self._scheduler.cancel)

    async def delete(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        self._check_loop("delete")
        if not job.is_finished:
            return False
        self._index.delete(job)
        job_type = one_line(job.job_type, SHOWN_LIMIT)
        log_event(logging.INFO, "job_deleted", job_id=job.job_id, job_type=job_type)
        return True

    async def resubmit(self, job_id: str) -> str:
        job = self._finished(job_id)
        return await self._repeat(job, job.payload, job.timeout, job.key, job.metadata)

    def _finished(self, job_id: str) -> Job:
        """The job with this id, which must have finished to be resubmitted."""
        job = self._index.get(job_id)
        if not job.is_finished:
            raise ValueError(f"job {job_id} is {job.status}: only a finished job is resubmitted")
        return job

    async def _repeat(
        self,
        job: Job,
        payload: FrozenPayload,
        timeout: float,
        key: str | None,
        metadata: Mapping[str, Any],
    ) -> str:
        """Submit what *job* was once more, and hand its key on if it is kept."""
        if not isinstance(payload, KeptPayload):
            raise PayloadNotKeptError(job.job_id, job.job_type)
        with self._index.passing_key_on(job) as unique:
            return await self.submit(
                job.job_type,
                self.handlers.get(job.job_type).form.thaw(payload.text),
                timeout=timeout,
                key=key,
                unique=unique,
                metadata={**metadata, ORIGIN: job.job_id},
            )

    async def stats(self) -> QueueStats:
        self._end_if_orphaned()
        by_type = await self._type_counts.of(self._index.kept(), self._clock.now)
        return QueueStats(
            by_status=self._index.counts(),
            abandoned=self._scheduler.left.count(),
            slots_in_use=len(self._scheduler.running),
            concurrency=self._scheduler.concurrency,
            by_type=by_type,
        )

    async def _let_others_run(self) -> None:
        # A caller that polls without waiting, as through httpx's ASGITransport, would keep the
        # event loop from ever running the job.
        self._end_if_orphaned()
        await asyncio.sleep(0)

    def _find_to_wait(self, job_id: str, method: str) -> Job:
        job = self._index.get(job_id)
        if self._owner is None or self._owner.done() or not self._is_here():
            self._end_if_orphaned()
            self._check_loop(method, job)
        return job
