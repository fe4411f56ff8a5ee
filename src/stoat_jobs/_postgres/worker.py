"""A worker: it runs what it claims, as every backend runs jobs; it is the host of the runs.

A slot is free when its handler is over, not when the outcome is written. The worker is the owner
of a job until then, and renews its lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .._events.log import log_event
from .._events.observers import Observers
from .._jobs.job_types import JobType
from .._jobs.protocols import JobBackend
from .._model.events import ProgressEvent, StartedEvent
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.status import COMPLETED, PENDING, JobStatus
from .._run.calls import wake
from .._run.deadlines import Deadlines
from .._run.job_run import JobRun
from .._run.left_behind import LeftBehind
from .._run.outcome import Outcome, StopReason, failed
from .beat import Beat
from .claims import Claim, Claims
from .connections import Connections, Row
from .ended import tell_ended
from .finishing import GIVEN_BACK, Finishing
from .options import PostgresOptions
from .reporting import Reporting
from .rows import record_with
from .side_tasks import IDLE, SideTask
from .sql import Sql
from .telling import Telling

# Outcomes that wait to be written; with more, nothing new is begun.
_MOST_UNWRITTEN = 1_000

# A payload that this code refuses is put back so often, after pauses that double, in seconds:
# some seven minutes in all, in which a rollout brings code that knows it.
_MOST_REFUSALS = 12
_LONGEST_PAUSE = 60.0

# Seconds that handlers have at the stop beyond what they are promised, as theirs is the loop that
# measures it; and a claim that is under way.
_BRIEFLY = 0.25


class Worker:
    """Runs jobs for one life of a queue."""

    delays = True
    kept_as_is: frozenset[int] = frozenset()

    def __init__(
        self,
        queue: JobBackend,
        settings: JobQueueSettings,
        options: PostgresOptions,
        connections: Connections,
        sql: Sql,
        observers: Observers,
        telling: Telling,
    ) -> None:
        self.queue = queue
        self.concurrency: int = settings.concurrency
        self.cancel_grace: float = settings.cancel_grace
        self.max_metadata_bytes: int = settings.max_metadata_bytes
        self.loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self.loop.time
        self.deadlines = Deadlines(self.loop, self.loop.time)
        self.running: dict[str, JobRun[Any]] = {}
        """By the ids of the jobs; those whose handlers are not over."""
        self._settings = settings
        self._connections = connections
        self._sql = sql
        self._observers = observers
        self._telling = telling
        self._requeues = options.on_shutdown == "requeue"
        self._is_closing = False
        self.left_behind = LeftBehind()
        self._idle: asyncio.Future[None] | None = None
        self._claims = Claims(connections, sql, options, lambda: queue.handlers)
        self._finishing = Finishing(connections, sql, self._claims.owner, self._over)
        self._reporting = Reporting(connections, sql, self._claims.owner, telling.look)
        self._claiming = SideTask("claim", self._claim)
        self._beat = Beat(
            connections,
            sql,
            self._claims.owner,
            options.lease,
            lambda: tuple(self._claims.own),
            self._on_beat,
            self._claims.lose_contact,
        )
        self.side_tasks = (self._claiming, self._finishing.side_task, self._reporting.side_task)

    @property
    def beat_age(self) -> float:
        """Seconds since the leases were last renewed."""
        return self._beat.age

    def start(self) -> None:
        """Begin."""
        self._beat.start()
        for task in self.side_tasks:
            task.start()

    def look_for_work(self) -> None:
        """There may be new jobs, or there is a free slot."""
        self._claiming.wake()

    # Claiming.

    async def _claim(self) -> float:
        free = self.concurrency - len(self.running)
        if free <= 0 or self._is_closing or len(self._finishing) > _MOST_UNWRITTEN:
            return IDLE  # whoever frees a slot wakes this
        types = Counter(run.job.job_type for run in self.running.values())
        claimed = await self._claims.claim(free, types)
        for row in claimed.buried:
            tell_ended(self._observers, record_with(row), self._telling.tell)
        self._claims.log_redelivered(claimed.claims)
        for claim in claimed.claims:
            self._begin(claim)
        return claimed.pause

    def _begin(self, claim: Claim) -> None:
        if self._is_closing or claim.job_id in self.running:
            # It was claimed while the stop began; or it was lost, and its handler is not over yet.
            claim.pause = 0.0 if self._is_closing else 1.0
            self._finishing.add(claim, GIVEN_BACK)
            return
        try:
            claim.payload = claim.definition.form.restore(claim.row["source"].encode())
        except Exception as error:  # this code is older, or newer, than that of the submitter
            self._refuse(claim, error)
            return
        claim.run = run = JobRun(claim, claim.definition, self)
        self.running[claim.job_id] = run
        if self._telling.is_awaited(claim.job_id):
            self._telling.tell(record_with(claim.row))
        run.start()

    def _refuse(self, claim: Claim, error: Exception) -> None:
        refusals: int = claim.row["refusals"]
        if refusals >= _MOST_REFUSALS:
            self._finishing.add(claim, failed(error))
            return
        claim.pause, claim.is_refused = min(2.0**refusals, _LONGEST_PAUSE), True
        claim.log(logging.WARNING, "payload_refused", again_in_s=claim.pause, error=str(error))
        self._finishing.add(claim, GIVEN_BACK)

    # What others want of running jobs.

    def stops_otherwise(self, job_id: str) -> bool:
        """Whether the job runs here, and is being stopped for another reason than a cancel."""
        run = self.running.get(job_id)
        if run is None:
            return False
        if self.now() > run.deadline:  # its timer is late where something has blocked the loop
            run.stop(StopReason.DEADLINE)
        return run.reason not in (None, StopReason.CANCEL)

    @contextmanager
    def not_interrupting(self, job_id: str | None) -> Iterator[None]:
        """Do not cancel the handler of this job, which asks for it, before it has its answer."""
        run = None if job_id is None else self.running.get(job_id)
        if run is None:
            yield
            return
        run.job.is_cancelling_itself = True
        try:
            yield
        finally:
            run.job.is_cancelling_itself = False

    def cancel(self, job_id: str) -> None:
        """The cancel of a job was accepted: tell its handler, if it runs here."""
        run = self.running.get(job_id)
        if run is None or run.job.is_cancelling_itself:
            return
        if run.stop(StopReason.CANCEL):
            run.job.is_cancel_known = True

    async def look_around(self) -> None:
        """See what no notice tells of: new jobs, and cancels of what runs here."""
        self.look_for_work()
        if self.running:
            rows = await self._connections.fetch(self._sql.flags, [*self._claims.own])
            self._on_beat(set(), {row["seq"] for row in rows})

    def _on_beat(self, lost: set[int], cancelled: set[int]) -> None:
        for seq in lost:
            claim = self._claims.own.pop(seq, None)
            if claim is not None and claim.run is not None and not claim.run.is_finished:
                claim.log(logging.WARNING, "job_lost")
                claim.run.drop()
        for seq in cancelled:
            if seq in self._claims.own:
                self.cancel(self._claims.own[seq].job_id)

    # What a run asks of its host.

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value, self._settings.max_result_bytes)

    def attempt_started(self, run: JobRun[Any], previous: BaseException | None) -> None:
        claim: Claim = run.job
        if run.attempt:
            self._reporting.add(claim)
        if previous is not None or self._observers.wants["started"]():
            event = StartedEvent(
                claim.job_id, claim.job_type, run.attempt, claim.metadata, previous
            )
            self._observers.tell("started", event)

    def progressed(self, run: JobRun[Any], fraction: float, message: str | None) -> None:
        claim: Claim = run.job
        claim.progress, claim.message = fraction, message
        self._reporting.add(claim)
        if self._observers.wants["progress"]():
            event = ProgressEvent(claim.job_id, claim.job_type, run.attempt, fraction, message)
            self._observers.tell("progress", event)

    def metadata_updated(self, run: JobRun[Any], metadata: Mapping[str, Any]) -> None:
        run.job.metadata = metadata
        self._reporting.add(run.job)

    def stopping(self, run: JobRun[Any]) -> None: ...
    def cancelled_externally(self) -> None: ...

    def completed(self, run: JobRun[Any], value: Any, now: float) -> None:
        self.finished(run, Outcome(COMPLETED, value))

    def finished(self, run: JobRun[Any], outcome: Outcome) -> None:
        claim: Claim = run.job
        self.left_behind.note(run, abandoned=outcome.abandoned)
        is_given_back = self._is_closing and self._requeues and self._goes_on(run, outcome)
        if is_given_back:
            claim.log(logging.INFO, "job_requeued")
        self._finishing.add(claim, GIVEN_BACK if is_given_back else outcome)
        self._free_slot(claim)

    def _goes_on(self, run: JobRun[Any], outcome: Outcome) -> bool:
        """Whether only the shutdown has stopped the job."""
        return run.reason is StopReason.SHUTDOWN or (run.reason is None and outcome.would_retry)

    def dropped(self, run: JobRun[Any]) -> None:
        self.left_behind.note(run, abandoned=run.is_alive)
        self._free_slot(run.job)

    def _free_slot(self, claim: Claim) -> None:
        del self.running[claim.job_id]
        self._reporting.forget(claim)
        if self._idle is not None and not self.running:
            wake(self._idle)
        self.look_for_work()

    def _over(self, claim: Claim, row: Row | None) -> None:
        """What became of a job is written; or somebody else has it, then there is no *row*."""
        if self._claims.own.get(claim.seq) is claim:  # it may have been lost, and claimed again
            del self._claims.own[claim.seq]
        outcome = claim.outcome
        if len(self._finishing) <= _MOST_UNWRITTEN:
            self.look_for_work()
        if row is None or outcome is None or not self._is_told(claim, outcome):
            return
        record = self._record(claim, outcome, row)
        if outcome.status is PENDING:
            self._telling.tell(record)
        else:
            tell_ended(self._observers, record, self._telling.tell, outcome, claim.variables)

    def _is_told(self, claim: Claim, outcome: Outcome) -> bool:
        """Whether anybody here is to be told how a job ended."""
        if self._telling.is_awaited(claim.job_id) or outcome.status not in (COMPLETED, PENDING):
            return True
        return outcome.status is COMPLETED and self._observers.wants["finished"]()

    def _record(self, claim: Claim, outcome: Outcome, row: Row) -> JobResult[Any]:
        return record_with(
            claim.row,
            status=JobStatus(outcome.status),
            result=outcome.result,
            error=outcome.error,
            error_type=outcome.error_type,
            progress=outcome.last_progress(claim.progress),
            message=claim.message,
            attempt=claim.attempt,
            metadata=dict(claim.metadata),
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            cancel_requested=row["cancel_requested"],
        )

    # The end.

    def longest_grace(self) -> float:
        """Seconds that the running jobs may take to stop."""
        return 2 * max((run.cancel_grace for run in self.running.values()), default=0.0)

    async def stop(self, drain_timeout: float, until: float) -> None:
        """Let running jobs finish, stop the rest, and write how all ended, *until* then."""
        self._is_closing = True
        try:
            for run in tuple(self.running.values()):
                run.drain()
            await self._wait_until_idle(drain_timeout)
            for run in tuple(self.running.values()):
                run.stop(StopReason.SHUTDOWN)
            await self._wait_until_idle(self.longest_grace() + _BRIEFLY)
        except BaseException:  # whoever cuts it short wants its end
            until = min(until, self.now() + _BRIEFLY)
            raise
        finally:
            self._abandon_all()
            await self._close(until)

    def _abandon_all(self) -> None:
        for run in tuple(self.running.values()):
            run.stop(StopReason.SHUTDOWN)
            run.abandon()
        self.deadlines.close()

    async def _wait_until_idle(self, seconds: float) -> None:
        if not self.running or seconds <= 0:
            return
        self._idle = self.loop.create_future()
        alarm = self.loop.call_later(seconds, wake, self._idle)
        try:
            await self._idle
        finally:
            self._idle = None
            alarm.cancel()

    async def _close(self, until: float) -> None:
        try:
            await self._claiming.close(_BRIEFLY)
            await self._finishing.wait_until_written(max(until - self.now(), 0.0))
        finally:
            self._beat.close()
            await asyncio.gather(*(task.close() for task in self.side_tasks))
            if left := len(self._finishing):
                log_event(logging.ERROR, "outcomes_left", number=left)
