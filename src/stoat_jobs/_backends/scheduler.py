"""When jobs run: what waits, what runs, what was abandoned.

A slot is handed on: the job that finishes starts the next one. There is no worker coroutine that
could die unnoticed, and every change of a job goes through the index.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from .._events.observers import Observers
from .._jobs.context import current_job_id
from .._jobs.job_types import JobType
from .._jobs.protocols import JobBackend
from .._model.events import FinishedEvent, ProgressEvent, StartedEvent
from .._model.settings import JobQueueSettings
from .._model.status import COMPLETED, PENDING
from .._payload.results import PLAIN, refuse_used_up
from .._run.calls import wake
from .._run.clock import Clock
from .._run.deadlines import Deadlines
from .._run.job_run import JobRun
from .._run.left_behind import LeftBehind
from .._run.outcome import INTERRUPTED, Outcome, StopReason, never_started
from .due_alarm import DueAlarm
from .job import Job
from .job_index import JobIndex
from .pending import PendingJobs
from .phase import NEW, STARTED

# How many waiting jobs a stop of the queue finishes in one turn of the event loop: a millisecond.
_CLOSED_A_TURN = 50


class Scheduler:
    """Runs jobs in the order in which they are due, at most ``concurrency`` at once.

    It is the host of their runs.
    """

    delays = True
    kept_as_is: frozenset[int] = PLAIN
    loop: asyncio.AbstractEventLoop
    deadlines: Deadlines
    cancelled_externally: Callable[[], None]

    def __init__(
        self,
        queue: JobBackend,
        settings: JobQueueSettings,
        concurrency: int,
        index: JobIndex,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self.queue = queue
        self.concurrency = concurrency
        self.cancel_grace: float = settings.cancel_grace
        self.max_metadata_bytes: int = settings.max_metadata_bytes
        self.pending: PendingJobs = PendingJobs(settings.max_pending)
        self.running: dict[str, JobRun[Job]] = {}
        self.phase = NEW
        self._index = index
        self._clock = clock
        self._observers = observers
        self.left: LeftBehind = LeftBehind()
        self._idle: asyncio.Future[None] | None = None
        self._alarm = DueAlarm(clock, self._fill_by_choice)

    # Starting.

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on *loop* from now on; nothing may be running."""
        self.loop = loop
        self._clock.attach(loop)
        self.now: Callable[[], float] = self._clock.now
        self.deadlines = Deadlines(loop, self._clock.now)

    def put(self, job: Job) -> None:
        """Accept *job*; it starts now if a slot is free."""
        if job.delay is None and job.definition.concurrency is None:
            self.pending.places.append(job)
        else:
            self.pending.put(job)
        if len(self.running) < self.concurrency:
            self.fill()

    def put_all(self, jobs: list[Job]) -> None:
        """As :meth:`put`, for jobs of one type and one delay."""
        self.pending.put_all(jobs)
        self.fill()

    def fill(self) -> None:
        """Start what waits, as far as slots are free."""
        pending, running = self.pending, self.running
        if pending.elsewhere:
            self._fill_by_choice(self._clock.age())
            return
        while pending.places and len(running) < self.concurrency and self.phase is STARTED:
            self._start(pending.pop() if pending.left else pending.places.popleft())

    def _fill_by_choice(self, now: float) -> None:
        """As :meth:`fill`, where jobs were delayed or have types with limits of their own."""
        while len(self.running) < self.concurrency and self.phase is STARTED:
            job = self.pending.first(now)
            if job is None:
                self._alarm.set(self.loop, self.pending.next_due())
                break
            self.pending.take(job)
            self.pending.started(job)
            self._start(job)

    def _start(self, job: Job) -> None:
        self._index.start(job)
        run = self.running[job.job_id] = JobRun(job, job.definition, self)
        run.start()

    # Stopping.

    def cancel(self, job: Job) -> bool:
        """As :meth:`JobBackend.cancel`."""
        if job.is_finished:
            return False
        run = self.running.get(job.job_id)
        if run is not None:
            return run.stop(StopReason.CANCEL)
        job.cancel_requested = True
        self.finish(job, self.pending.stop(job, StopReason.CANCEL))
        return True

    def drain(self) -> None:
        """Let what runs finish, but begin no further attempt."""
        for run in tuple(self.running.values()):
            run.drain()

    async def close_pending(self, deadline: float) -> None:
        """Stop what waits, and give up turns of the event loop, at most until *deadline*.

        Nothing more starts in this phase. However this is cut short, all of it is stopped.
        """
        with self._closing():
            try:
                for number, job in enumerate(tuple(self.pending), 1):
                    if job.status is PENDING:  # not cancelled meanwhile
                        self._close(job)
                    if number % _CLOSED_A_TURN == 0:
                        if self.now() >= deadline:
                            break
                        await asyncio.sleep(0)
            finally:
                self._close_rest()

    def _closing(self) -> AbstractContextManager[None]:
        return self._observers.ending_together()

    def _close_pending(self) -> None:
        with self._closing():
            self._close_rest()

    def _close_rest(self) -> None:
        for job in tuple(self.pending):
            if job.status is PENDING:
                self._close(job)

    def _close(self, job: Job) -> None:
        """The queue closes while *job* waits."""
        self.finish(job, self.pending.stop(job, StopReason.SHUTDOWN))

    def stop_all(self) -> None:
        """Tell everything that runs to stop."""
        for run in tuple(self.running.values()):
            run.stop(StopReason.SHUTDOWN)

    def longest_grace(self) -> float:
        """Of what runs: the seconds to stop after the shutdown."""
        return max((run.cancel_grace for run in self.running.values()), default=0.0)

    def abandon_all(self) -> None:
        """Finish everything that runs now, whatever its handlers do."""
        self._alarm.cancel()
        self.stop_all()
        for run in tuple(self.running.values()):
            run.abandon()
        if not self.running:
            self.deadlines.close()

    def abandon(self, job: Job) -> None:
        """Finish *job* now if it runs, whatever its handler does."""
        if job.job_id in self.running:
            self.running[job.job_id].abandon()

    def finish_all(self) -> None:
        """Finish all that is left when the queue stops, however often a Ctrl-C interrupts it."""
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                self._finish_rest()
                break
            except KeyboardInterrupt as error:  # which has finished one job at least
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _finish_rest(self) -> None:
        self._index.repair()
        self._close_pending()
        self.abandon_all()
        self.running.clear()  # of a run that was interrupted while it finished
        self.pending.all_ended()
        self._finish_lost()

    def _finish_lost(self) -> None:
        """Finish jobs that a Ctrl-C has caught between waiting, running and their finish."""
        for job in self._index.live():
            never = job.status is PENDING
            self.finish(job, never_started(StopReason.SHUTDOWN) if never else INTERRUPTED)

    async def wait_until_idle(self, seconds: float) -> None:
        """Wait until nothing runs, at most so long."""
        if not self.running or seconds <= 0:
            return
        self._idle = self.loop.create_future()
        alarm = self.loop.call_later(seconds, wake, self._idle)
        try:
            await self._idle
        finally:
            self._idle = None
            alarm.cancel()

    async def wait_for_tasks(self, seconds: float) -> None:
        """Let the tasks of abandoned jobs end, at most so long."""
        await self.left.wait_for_tasks(self.loop, seconds)

    # What a run asks of its host.

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        refuse_used_up(value)
        return value

    def attempt_started(self, run: JobRun[Job], previous: BaseException | None) -> None:
        if run.attempt:
            run.job.attempt = run.attempt
            run.job.changed()
        if previous is not None or self._observers.wants["started"]():
            self.tell_started(run.job, previous)

    def tell_started(self, job: Job, previous: BaseException | None = None) -> None:
        """Tell observers that the handler of *job* is about to be called."""
        event = StartedEvent(job.job_id, job.job_type, job.attempt, job.metadata, previous)
        self._observers.tell("started", event)

    def progressed(self, run: JobRun[Job], fraction: float, message: str | None) -> None:
        job = run.job
        job.progress = fraction
        job.message = message
        job.changed()
        if self._observers.wants["progress"]():
            event = ProgressEvent(job.job_id, job.job_type, run.attempt, fraction, message)
            self._observers.tell("progress", event)

    def metadata_updated(self, run: JobRun[Job], metadata: Mapping[str, Any]) -> None:
        run.job.metadata = metadata
        run.job.changed()

    def stopping(self, run: JobRun[Job]) -> None:
        job = run.job
        job.cancel_requested = run.reason is StopReason.CANCEL
        self._index.keys.release(job)
        job.changed()

    def completed(self, run: JobRun[Job], value: Any, now: float) -> None:
        job = run.job
        del self.running[job.job_id]
        try:
            self._index.complete(job, value, now)
            if self._observers.wants["finished"]():
                self._tell_finished(job, Outcome(COMPLETED, value))
        finally:
            if self.pending.lines:
                self.pending.ended(job)
                self.fill()
            elif self.pending.places:
                self.fill()
            if self._idle is not None:
                self._tell_if_idle()

    def finished(self, run: JobRun[Job], outcome: Outcome) -> None:
        del self.running[run.job.job_id]
        self.pending.ended(run.job)
        self.left.note(run, abandoned=outcome.abandoned)
        try:
            self._conclude(run, outcome)
        finally:
            self.fill()
            self._tell_if_idle()

    def dropped(self, run: JobRun[Job]) -> None:
        """Never: no other worker has jobs of this queue."""

    def _conclude(self, run: JobRun[Job], outcome: Outcome) -> None:
        self._finish_in_context(run.job, outcome)

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not self.running:
            wake(self._idle)

    # Finishing.

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Finish *job*, which does not run."""
        job.variables.run(current_job_id.set, job.job_id)
        job.variables.run(self._finish_in_context, job, outcome)

    def _finish_in_context(self, job: Job, outcome: Outcome) -> None:
        """Finish *job* and tell the observers; in the job's own context variables."""
        self._index.finish(job, outcome)
        if outcome.status is not COMPLETED or self._observers.wants["finished"]():
            self._tell_finished(job, outcome)

    def _tell_finished(self, job: Job, outcome: Outcome) -> None:
        event = FinishedEvent(job.record(), job.duration, outcome.exception, outcome.abandoned)
        self._observers.tell("finished", event)
