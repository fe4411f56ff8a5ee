"""The slots of an in-process queue: what waits, what runs, what was left behind.

A slot is handed on: the job that ends starts the next one. No worker coroutine stands in
between that could die unnoticed, and every change of a job goes through the table.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from .._events.log import log_thread_left
from .._events.observers import Observers
from .._jobs.context import current_job_id
from .._jobs.job_types import JobType
from .._jobs.protocols import JobBackend
from .._model.records import FinishedEvent, ProgressEvent, StartedEvent
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus
from .._payload.results import PLAIN, refuse_used_up
from .._run.calls import wake
from .._run.clock import Clock
from .._run.deadlines import Deadlines
from .._run.left_threads import LeftThreads, where_working
from .._run.outcome import INTERRUPTED, Outcome, StopReason, never_started
from .._run.run import JobRun
from .table import Job, JobTable

_COMPLETED = JobStatus.COMPLETED  # looking a member up costs more than comparing it


class PendingJobs(asyncio.Queue[Job]):
    """The jobs that wait, oldest first; one that is cancelled leaves at once."""

    _queue: OrderedDict[str, Job]
    _maxsize: int

    def _init(self, maxsize: int) -> None:
        self._queue = OrderedDict()

    def _put(self, item: Job) -> None:
        self._queue[item.job_id] = item

    def _get(self) -> Job:
        return self._queue.popitem(last=False)[1]

    def remove(self, job: Job) -> None:
        """Take *job* out of the middle."""
        del self._queue[job.job_id]

    def all(self) -> list[Job]:
        """All that wait, oldest first; they stay."""
        return list(self._queue.values())

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Wait for these alone; there may be more than ``maxsize``."""
        self._init(self.maxsize)
        for job in jobs:
            self._put(job)

    def first(self) -> Job:
        """The oldest, which stays; one must be there."""
        return next(iter(self._queue.values()))

    def full(self) -> bool:
        return 0 < self._maxsize <= len(self._queue)

    # Nobody ever waits for this queue, so there is nobody to wake: half a put's and a get's cost.
    put_nowait = _put
    get_nowait = _get


class Slots:
    """Runs jobs in the order of submission, at most ``concurrency`` at once.

    It is the host of their runs.
    """

    delays = True
    kept_as_is: frozenset[int] = PLAIN
    loop: asyncio.AbstractEventLoop
    deadlines: Deadlines
    when_cut_off: Callable[[], None]

    def __init__(
        self,
        queue: JobBackend,
        settings: JobQueueSettings,
        concurrency: int,
        table: JobTable,
        clock: Clock,
        observers: Observers,
    ) -> None:
        self.queue = queue
        self.concurrency = concurrency
        self.cancel_grace = settings.cancel_grace
        self.pending = PendingJobs(settings.max_pending)
        self.running: dict[str, JobRun[Job]] = {}
        self.open = False
        self._table = table
        self._clock = clock
        self._observers = observers
        self._left_behind: list[JobRun[Job] | LeftThreads] = []
        self._idle: asyncio.Future[None] | None = None

    # Scheduling.

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run on *loop* from now on; nothing may be running."""
        self.loop = loop
        self._clock.attach(loop)
        self.now = self._clock.now
        self.deadlines = Deadlines(loop, self._clock.now)

    def put(self, job: Job) -> None:
        """Take *job* on; it starts now if a slot is free."""
        self.pending.put_nowait(job)
        if len(self.running) < self.concurrency:
            self.fill()

    def fill(self) -> None:
        """Start what waits, as far as slots are free."""
        pending = self.pending
        while pending._queue and self._may_start():
            self._start(pending._get())

    def _may_start(self) -> bool:
        """Whether the oldest that waits may start."""
        return self.open and len(self.running) < self.concurrency

    def _start(self, job: Job) -> None:
        job.context.run(current_job_id.set, job.job_id)
        self._table.start(job)
        run = self.running[job.job_id] = JobRun(job, job.handler, self)
        run.start()

    # Stopping.

    def cancel(self, job: Job) -> bool:
        """As :meth:`JobBackend.cancel`."""
        if job.status.is_terminal:
            return False
        run = self.running.get(job.job_id)
        if run is not None:
            return run.stop(StopReason.CANCEL)
        job.cancel_requested = True
        self.drop(job, StopReason.CANCEL)
        return True

    def drop(self, job: Job, reason: StopReason) -> None:
        """Settle *job*, which waits."""
        self.pending.remove(job)
        self.end(job, never_started(reason))

    def end(self, job: Job, outcome: Outcome) -> None:
        """Settle *job*, which no run does, in its own context."""
        job.context.run(current_job_id.set, job.job_id)
        job.context.run(self.finish, job, outcome)

    def close(self) -> None:
        """Start nothing more: settle what waits, begin no further attempt."""
        self.open = False
        self._end_pending()
        for run in self.running.values():
            run.queue_closes()

    def _end_pending(self) -> None:
        with self._observers.ending_together():
            while not self.pending.empty():
                self.drop(self.pending.first(), StopReason.SHUTDOWN)

    def stop_all(self) -> None:
        """Tell everything that runs to stop."""
        for run in tuple(self.running.values()):
            run.stop(StopReason.SHUTDOWN)

    def abandon_all(self) -> None:
        """Settle everything that runs now, whatever its handlers do."""
        self.stop_all()
        for run in tuple(self.running.values()):
            run.abandon()
        if not self.running:
            self.deadlines.close()

    def settle_all(self) -> None:
        """Settle all that is left when the queue stops, however often a Ctrl-C interrupts it."""
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                self._settle_rest()
                break
            except KeyboardInterrupt as error:  # which has settled one job at least
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _settle_rest(self) -> None:
        self.open = False
        self._table.repair()
        self._end_pending()
        self.abandon_all()
        self.running.clear()  # of a run that was interrupted while it ended
        self._end_lost()

    def _end_lost(self) -> None:
        """Settle jobs that a Ctrl-C has caught between waiting, running and their end."""
        for job in self._table.live():
            never = job.status is JobStatus.PENDING
            self.end(job, never_started(StopReason.SHUTDOWN) if never else INTERRUPTED)

    def abandon(self, job: Job) -> None:
        """Settle *job* now if it runs, whatever its handler does."""
        if job.job_id in self.running:
            self.running[job.job_id].abandon()

    async def idle(self, seconds: float) -> None:
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

    async def tasks_ended(self, seconds: float) -> None:
        """Let the tasks of abandoned jobs end, at most so long."""
        tasks = [run.task for run in self._left_behind if run.task and not run.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def abandoned(self) -> int:
        """How many handlers run on although their job was settled."""
        self._left_behind = [run for run in self._left_behind if not run.over]
        return sum(run.alive for run in self._left_behind)

    # What a run asks of its host.

    def keep_result(self, handler: JobType[..., Any], value: Any) -> Any:
        refuse_used_up(value)
        return value

    def attempt_started(self, run: JobRun[Job], previous: BaseException | None) -> None:
        job = run.job
        if run.attempt:
            job.attempt = run.attempt
            job.changed()
        if previous is not None or self._observers.wants("started"):
            self.tell_started(job, previous)

    def tell_started(self, job: Job, previous: BaseException | None = None) -> None:
        """Tell observers that the handler of *job* is about to be called."""
        event = StartedEvent(job.job_id, job.job_type, job.attempt, job.metadata, previous)
        self._observers.tell("started", event)

    def progressed(self, run: JobRun[Job], fraction: float, message: str | None) -> None:
        job = run.job
        job.progress = fraction
        job.message = message
        job.changed()
        if self._observers.wants("progress"):
            event = ProgressEvent(job.job_id, job.job_type, run.attempt, fraction, message)
            self._observers.tell("progress", event)

    def stopping(self, run: JobRun[Job]) -> None:
        job = run.job
        job.cancel_requested = run.reason is StopReason.CANCEL
        self._table.release_key(job)
        job.changed()

    def cut_off(self) -> None:
        self.when_cut_off()

    def settled(self, run: JobRun[Job], outcome: Outcome) -> None:
        del self.running[run.job.job_id]
        if outcome.abandoned:
            self._leave_behind(run)
        elif run.reason is not None:
            self._look_for_threads(run.job)
        try:
            self.finish(run.job, outcome)
        finally:
            self.fill()
            if self._idle is not None and not self.running:
                wake(self._idle)

    def _look_for_threads(self, job: Job) -> None:
        """Name what a handler that obeyed has left in threads of an executor."""
        if (where := where_working(job.job_id)) is not None:
            self._leave_behind(LeftThreads(job.job_id))
            log_thread_left(job.job_id, job.job_type, where)

    def _leave_behind(self, left: JobRun[Job] | LeftThreads) -> None:
        self.abandoned()  # forgets those that have ended since
        self._left_behind.append(left)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Settle *job* and tell; in the job's own context."""
        self._table.finish(job, outcome)
        if outcome.status is not _COMPLETED or self._observers.wants("finished"):
            event = FinishedEvent(job.record(), job.duration, outcome.exception, outcome.abandoned)
            self._observers.tell("finished", event)
