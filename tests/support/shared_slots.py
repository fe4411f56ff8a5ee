"""What one of the queues on an engine runs."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from stoat_jobs import (
    FinishedEvent,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
    JobType,
    ProgressEvent,
    RemovedEvent,
    StartedEvent,
    current_job_id,
)
from stoat_jobs.backends import (
    CallResult,
    Deadlines,
    JobRun,
    LeftBehind,
    Observers,
    Outcome,
    StopReason,
    classify,
)

from .shared_engine import Engine, SharedJob, wake

RemovalReason = Literal["age", "number", "deleted"]

MARGIN = 0.5
"""Seconds beyond its graces that a queue may take to stop, twice."""


class SharedSlots:
    """What runs in one of the queues; the host of its runs."""

    delays = True
    kept_as_is: frozenset[int] = frozenset()
    loop: asyncio.AbstractEventLoop
    deadlines: Deadlines

    def __init__(
        self, settings: JobQueueSettings, handlers: JobHandlers, observers: Iterable[Any]
    ) -> None:
        self.handlers = handlers
        self.settings = settings
        self.cancel_grace = settings.cancel_grace
        self.max_metadata_bytes = settings.max_metadata_bytes
        self.running: dict[str, JobRun[SharedJob]] = {}
        self.takes_jobs = False
        self._engine: Engine
        self._observers = Observers(observers)
        self.left = LeftBehind()
        self._idle: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def queue(self) -> Any:
        return self

    def now(self) -> float:
        return self._engine.clock.now()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run jobs on *loop* from now on."""
        self.loop = loop
        self._engine.attach(loop)
        self.deadlines = Deadlines(loop, self._engine.clock.now)

    def fill(self, now: float = 0.0) -> None:
        """Take on what waits and is due, as far as slots are free; *now*, or at the alarm's time."""
        now = max(now, self._engine.clock.age())
        while self._may_start() and (job := self._engine.take(self._full_types(), now)):
            self._start(job)
        self._set_alarm(self._engine.next_due(now))

    def _may_start(self) -> bool:
        return self.takes_jobs and len(self.running) < self.settings.concurrency

    def _full_types(self) -> set[str]:
        """Those of which as many run here as may: none of a type that is not known here."""
        counts = Counter(run.job.job_type for run in self.running.values())
        limits = {run.job.job_type: run.definition.concurrency for run in self.running.values()}
        full = {name for name, limit in limits.items() if limit and counts[name] >= limit}
        return full | {name for name in self._engine.types() if name not in self.handlers}

    def _set_alarm(self, due: float) -> None:
        """Look again when the next delayed job is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self.takes_jobs and due < math.inf:
            seconds = due - self._engine.clock.age()
            nobodys = contextvars.Context()  # else the timer would keep the submitter's
            self._alarm = self.loop.call_later(seconds, self.fill, due, context=nobodys)

    def _start(self, job: SharedJob) -> None:
        try:
            handler = self.handlers.get(job.job_type)
            job.payload = handler.form.restore(job.payload.text)
        except Exception as error:  # another process has other handlers
            self._end(job, classify(None, CallResult(None, error, self.now()), job.timeout))
            return
        job.variables.run(current_job_id.set, job.job_id)
        run = self.running[job.job_id] = JobRun(job, handler, self)
        run.start()

    def _end(self, job: SharedJob, outcome: Outcome) -> None:
        """Finish *job*, which no run does, in its own context."""
        variables = job.variables
        variables.run(current_job_id.set, job.job_id)
        variables.run(self._finish, job, outcome)

    def _finish(self, job: SharedJob, outcome: Outcome) -> None:
        self._engine.finish(job, outcome)
        event = FinishedEvent(job.record(), job.duration, outcome.exception, outcome.abandoned)
        self._observers.tell("finished", event)
        while oldest := self._engine.too_many(self.settings.max_results):
            self.remove(oldest, "number")

    def expire(self) -> None:
        """Forget the records that are too old."""
        while oldest := self._engine.too_old(self.settings.result_ttl):
            self.remove(oldest, "age")

    def remove(self, job: SharedJob, reason: RemovalReason) -> None:
        """Keep the record of *job* no longer."""
        self._engine.forget(job)
        self._observers.tell("removed", RemovedEvent(job.record(), reason))

    # What a run asks of its host.

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value, self.settings.max_result_bytes)

    def attempt_started(self, run: JobRun[SharedJob], previous: BaseException | None) -> None:
        job = run.job
        if run.attempt:
            job.change(attempt=run.attempt)
        event = StartedEvent(job.job_id, job.job_type, run.attempt, job.metadata, previous)
        self._observers.tell("started", event)

    def progressed(self, run: JobRun[SharedJob], fraction: float, message: str | None) -> None:
        job = run.job
        job.change(progress=fraction, message=message)
        event = ProgressEvent(job.job_id, job.job_type, run.attempt, fraction, message)
        self._observers.tell("progress", event)

    def metadata_updated(self, run: JobRun[SharedJob], metadata: Mapping[str, Any]) -> None:
        run.job.metadata = metadata
        run.job.change()

    def stopping(self, run: JobRun[SharedJob]) -> None:
        self._engine.release_key(run.job)
        run.job.change(cancel_requested=run.reason is StopReason.CANCEL)

    def cancelled_externally(self) -> None:
        """Whoever has entered the queue leaves it."""

    def completed(self, run: JobRun[SharedJob], value: Any, now: float) -> None:
        self.finished(run, Outcome(JobStatus.COMPLETED, value))

    def finished(self, run: JobRun[SharedJob], outcome: Outcome) -> None:
        del self.running[run.job.job_id]
        self.left.note(run, abandoned=outcome.abandoned)
        try:
            self._finish(run.job, outcome)
        finally:
            self._engine.fill()
            self._tell_if_idle()

    def dropped(self, run: JobRun[SharedJob]) -> None:
        del self.running[run.job.job_id]
        self.left.note(run, abandoned=run.is_alive)
        self._engine.fill()
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not self.running:
            wake(self._idle)

    # Stopping.

    async def drain(self) -> None:
        """Let what runs finish, then tell it to stop, then leave it behind."""
        self._take_no_more()
        for run in self.running.values():
            run.drain()
        await self._until_idle(self.settings.drain_timeout)
        self._stop_all()
        grace = max((run.cancel_grace for run in self.running.values()), default=0.0)
        await self._until_idle(2 * grace + MARGIN)
        self.abandon_all()
        await self.left.wait_for_tasks(self.loop, MARGIN)

    def _take_no_more(self) -> None:
        self.takes_jobs = False
        self._set_alarm(math.inf)

    async def _until_idle(self, seconds: float) -> None:
        if not self.running or seconds <= 0:
            return
        self._idle = self.loop.create_future()
        alarm = self.loop.call_later(seconds, wake, self._idle)
        try:
            await self._idle
        finally:
            self._idle = None
            alarm.cancel()

    def _stop_all(self) -> None:
        for run in tuple(self.running.values()):
            run.stop(StopReason.SHUTDOWN)

    def abandon_all(self) -> None:
        """Finish everything that runs now, whatever its handlers do."""
        self._take_no_more()
        self._stop_all()
        for run in tuple(self.running.values()):
            run.abandon()
        self.deadlines.close()
