"""A queue begins with what its store has: in memory again are the live jobs, and small entries."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, cast

from .._backends.job import Job
from .._backends.scripted_outcomes import is_stand_in
from .._events.log import log_event
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.metadata import read_only
from .._model.status import FAILED
from .._payload.frozen import FrozenPayload
from .._run.clock import Clock
from .._run.outcome import Outcome, StopReason, never_started
from .._text import one_line
from .durable_job import DurableJob
from .index import StoredIndex
from .open_store import OpenStore
from .records import definition_of
from .scheduler import StoredScheduler
from .store import FinishedJob, StoredJob

# How many finished jobs are put back in one turn of the event loop: some milliseconds.
_AT_ONCE = 500


class Restoring:
    """Puts what a store has back into a queue, in the order of acceptance."""

    def __init__(
        self,
        handlers: JobHandlers,
        clock: Clock,
        index: StoredIndex,
        scheduler: StoredScheduler,
        max_deliveries: int,
    ) -> None:
        self._handlers = handlers
        self._clock = clock
        self._index = index
        self._scheduler = scheduler
        self._max_deliveries = max_deliveries
        self._definitions: dict[str, JobType[..., Any]] = {}

    async def restore(self, store: OpenStore) -> None:
        """Let what is live in *store* wait or finish, and know what has finished."""
        self._index.clear()
        waiting: list[DurableJob] = []
        finished = await store.finished()
        earlier = finished[::-1]
        async for some in store.live():
            for stored in some:
                if earlier and earlier[-1].number < stored.number:
                    await self._put_back(earlier, stored.number)
                waiting.append(self._live(stored))
        await self._put_back(earlier, math.inf)
        numbers = [job.number for job in waiting[-1:]] + [job.number for job in finished[-1:]]
        finished.sort(key=attrgetter("finish_number"))
        numbers += [job.finish_number for job in finished[-1:]]
        self._index.number = max(numbers, default=0)
        self._index.retention.replace(cast(list[Job], finished))
        self._scheduler.pending.replace(self._those_that_wait(waiting))

    async def _put_back(self, earlier: list[FinishedJob], number: float) -> None:
        """Know the last of *earlier*, as far as they were accepted before *number*."""
        now, shift = self._clock.stamp(), self._clock.shift
        while earlier and earlier[-1].number < number:
            entry = earlier.pop()
            entry.shift = shift
            self._index.put_back(entry, now)
            if len(earlier) % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _live(self, stored: StoredJob) -> DurableJob:
        record = stored.record
        job = DurableJob(
            job_id=record.job_id,
            job_type=record.job_type,
            definition=self._definition(record.job_type),
            payload=FrozenPayload({}, stored.payload.encode()),
            timeout=stored.timeout,
            key=record.key,
            metadata=read_only(record.metadata),
            variables=contextvars.Context(),
            submitted=stored.submitted,
            shift=self._clock.shift,
            cancel_requested=record.cancel_requested,
            number=stored.number,
            digest=stored.payload_digest,
            deliveries=stored.deliveries,
            is_unread=True,
        )
        self._index.put_back(job, self._clock.stamp())
        if record.not_before is not None:
            job.delay = record.not_before.timestamp() - job.submitted
        return job

    def _definition(self, job_type: str) -> JobType[..., Any]:
        """The job type; one that this process does not know has no room, so its jobs wait."""
        known = self._definitions.get(job_type)
        if known is None:
            known = self._definitions[job_type] = definition_of(job_type, self._handlers)
            if is_stand_in(known):
                known.concurrency = 0
                name = one_line(job_type, 200)
                log_event(logging.WARNING, "job_type_unknown", job_type=name)
        return known

    def _those_that_wait(self, jobs: list[DurableJob]) -> Iterator[DurableJob]:
        """Of *jobs* those that can run; the others finish."""
        for job in jobs:
            if job.cancel_requested:
                self._scheduler.finish(job, never_started(StopReason.CANCEL))
            elif job.deliveries >= self._max_deliveries:
                self._scheduler.fail(job, _lost(job.deliveries))
            else:
                if job.deliveries:
                    name = one_line(job.job_type, 200)
                    log_event(logging.WARNING, "job_redelivered", job_id=job.job_id, job_type=name)
                yield job


def _lost(deliveries: int) -> Outcome:
    text = f"its process ended {deliveries} times while it ran; it is not run again"
    return Outcome(FAILED, None, text, "WorkerLost")
