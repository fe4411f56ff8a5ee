"""The scheduler of a queue with a store: a handler is called when its start is written.

What the shutdown stops is given back to the store, if the queue says that it requeues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from .._backends.job import Job
from .._backends.phase import CLOSING
from .._backends.scheduler import Scheduler
from .._events.log import log_event
from .._jobs.context import current_job_id
from .._jobs.job_types import JobType
from .._model.status import COMPLETED, PENDING
from .._run.job_run import JobRun
from .._run.outcome import INTERRUPTED, Outcome, StopReason, failed, never_started
from .._text import one_line
from .durable_job import DurableJob, durable
from .index import StoredIndex


class Starting:
    """A job that has a slot, and whose start is being written; in the place of its run."""

    __slots__ = ("_scheduler", "job")

    cancel_grace = 0.0

    def __init__(self, job: DurableJob, scheduler: StoredScheduler) -> None:
        self.job = job
        self._scheduler = scheduler

    def stop(self, reason: StopReason) -> bool:
        """Do not start."""
        self._scheduler.start_stopped(self, reason)
        return True

    def drain(self) -> None:
        """Do not start: the queue closes."""
        self.stop(StopReason.SHUTDOWN)

    def abandon(self) -> None:
        """Do not start: the queue is closed."""
        self.stop(StopReason.SHUTDOWN)


class StoredScheduler(Scheduler):
    """The scheduler, which leaves what waits in the store."""

    _index: StoredIndex
    kept_as_is = frozenset()
    requeues = False
    """Whether a job that the shutdown stops waits for the next start."""

    # Starting.

    def _start(self, job: Job) -> None:
        starting = Starting(durable(job), self)
        self.running[job.job_id] = cast(Any, starting)
        if starting.job.is_unread and not self._can_read_payload(starting.job):
            return
        self._index.write_start(starting.job, partial(self._begin, starting))

    def _can_read_payload(self, job: DurableJob) -> bool:
        """Decode the payload of an earlier process; if it fits no more, finish *job*."""
        try:
            job.payload = job.definition.form.restore(job.payload.text)
        except Exception as error:  # the code has changed since
            del self.running[job.job_id]
            self.pending.ended(job)
            self.fail(job, failed(error))
            return False
        job.is_unread = False
        return True

    def _begin(self, starting: Starting) -> None:
        """The start is written."""
        job = starting.job
        if cast(Any, self.running.get(job.job_id)) is not starting:
            return  # it was stopped meanwhile
        self._index.start(job)
        run = self.running[job.job_id] = JobRun(job, job.definition, self)
        run.start()

    def start_stopped(self, starting: Starting, reason: StopReason) -> None:
        """The job is not started after all."""
        job = starting.job
        del self.running[job.job_id]
        self.pending.ended(job)
        if reason is StopReason.CANCEL:
            job.cancel_requested = True
            self.finish(job, never_started(reason))
        else:
            self._index.give_back(job)
        self.fill()
        self._tell_if_idle()

    # What becomes of a job.

    def cancel(self, job: Job) -> bool:
        ending = self._index.ending.get(job.job_id)
        if ending is not None:
            return ending.ended.cancel_requested
        return super().cancel(job)

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value, self.queue.settings.max_result_bytes)

    def metadata_updated(self, run: JobRun[Job], metadata: Mapping[str, Any]) -> None:
        super().metadata_updated(run, metadata)
        self._index.save(durable(run.job))

    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        if run.reason is StopReason.CANCEL:
            self._index.save(durable(run.job))

    def _conclude(self, run: JobRun[Job], outcome: Outcome) -> None:
        if self._is_given_back(run, outcome):
            self._give_back(run.job)
        else:
            super()._conclude(run, outcome)

    def _is_given_back(self, run: JobRun[Job], outcome: Outcome) -> bool:
        """Whether the job goes on in the next life of the queue."""
        if not self.requeues or self.phase is not CLOSING:
            return False
        return run.reason is StopReason.SHUTDOWN or outcome.would_retry

    def _give_back(self, job: Job) -> None:
        self._index.give_back(durable(job))
        job_type = one_line(job.job_type, 200)
        log_event(logging.INFO, "job_requeued", job_id=job.job_id, job_type=job_type)

    def _finish_in_context(self, job: Job, outcome: Outcome) -> None:
        # The job lets go of its variables before it is told.
        told = partial(job.variables.run, self._tell_ended, job, outcome)
        self._index.end(durable(job), outcome, told)

    def fail(self, job: DurableJob, outcome: Outcome) -> None:
        """Finish *job*, which cannot be run any more."""
        told = partial(job.variables.run, self._tell_ended, job, outcome)
        self._index.end(job, outcome, told, unstarted=True)

    def _tell_ended(self, job: Job, outcome: Outcome) -> None:
        current_job_id.set(job.job_id)
        if self._observers.wants["finished"]() or outcome.status is not COMPLETED:
            self._tell_finished(job, outcome)

    # Stopping.

    def _close_rest(self) -> None:
        for job in self.pending:
            self._close(job)

    def _close(self, job: Job) -> None:
        if not job.left_in_store:
            job.leave_in_store()

    def _finish_lost(self) -> None:
        for job in self._index.live():
            if job.job_id in self._index.ending or job.left_in_store:
                continue
            if job.status is PENDING:
                job.leave_in_store()
            elif self.requeues:
                self._give_back(job)
            else:
                self.finish(job, INTERRUPTED)

    async def wait_for_tasks(self, seconds: float) -> None:
        # What is still to be written is written meanwhile.
        store = self._index.store
        waits = [super().wait_for_tasks(seconds)]
        if store is not None:
            waits.append(store.writer.flush(seconds))
        await asyncio.gather(*waits)
