"""The backend for tests: the same machine, one job at a time, finished when submit returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from .._jobs.context import current_job_id
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._jobs.protocols import Unique
from .._model.capabilities import Capabilities
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus
from .._run.job_run import JobRun
from .._run.outcome import Outcome
from .in_process_queue import NO_PAYLOAD, InProcessQueue
from .job import Job
from .phase import NEW, STARTED
from .scheduler import Scheduler
from .scripted_outcomes import is_stand_in, scripted, stand_in
from .waiting import until_finished


class _MemoryScheduler(Scheduler):
    """One slot, which a job may be held back from; it works without being started."""

    delays = False
    kept_as_is = frozenset()
    held = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.released: set[str] = set()
        self.scripts: dict[str, Outcome] = {}
        self.default_script: Outcome | None = None

    def fill(self) -> None:
        while self.pending and not self.running and self.phase in (NEW, STARTED):
            job = self.pending.first()  # whether or not its delay has passed
            if job is None or (self.held and job.job_id not in self.released):
                break
            self.pending.take(job)
            self._start(job)

    def _start(self, job: Job) -> None:
        script = self.scripts.get(job.job_type)
        if script is None and is_stand_in(job.definition):
            script = self.default_script
        if script is None:
            super()._start(job)
        else:
            job.variables.run(self._play, job, script)

    def _play(self, job: Job, script: Outcome) -> None:
        current_job_id.set(job.job_id)
        self._index.start(job)
        self.tell_started(job)
        self._finish_in_context(job, script)

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return definition.result_through_json(value, self.queue.settings.max_result_bytes)

    def finished(self, run: JobRun[Job], outcome: Outcome) -> None:
        super().finished(run, outcome)
        if not self.running:
            self.deadlines.close()  # a test's loop is left as it was

    def _finish_in_context(self, job: Job, outcome: Outcome) -> None:
        self.released.discard(job.job_id)
        super()._finish_in_context(job, outcome)


class MemoryOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` of this backend."""

    autorun: bool = True


class InMemoryJobQueue(InProcessQueue):
    """Jobs one at a time, in the order of submission; ``submit`` returns when its job has finished.

    Use it in tests: you start nothing and wait for nothing, and the test sees what an app would
    see. It refuses what a durable engine would refuse: results go through JSON, as payloads do.
    Delayed jobs run at once, and retries too, without the backoff. Old records are dropped when
    the queue is asked.

    A submit from inside a handler returns the id of a pending job, which runs before the outer
    submit returns. Cancelling a submit cancels its job.

    With ``options={"autorun": False}`` jobs wait for :meth:`run_next`, so that a test can look at
    a pending one.

    >>> import asyncio
    >>> from stoat_jobs import JobContext, JobHandlers
    >>> handlers = JobHandlers()
    >>> @handlers.job
    ... def double(ctx: JobContext, n: int) -> int:
    ...     return 2 * n
    >>> async def main() -> int:
    ...     queue = InMemoryJobQueue(handlers)
    ...     job_id = await queue.submit("double", {"n": 21})
    ...     return (await queue.get_result(job_id)).result
    >>> asyncio.run(main())
    42
    """

    name: ClassVar[str] = "memory"
    capabilities: Capabilities = Capabilities(
        concurrent=False,
        submit_returns_early=False,
        waits_between_attempts=False,
        waits_for_delays=False,
    )
    _scheduler_type: ClassVar[type[Scheduler]] = _MemoryScheduler
    _scheduler: _MemoryScheduler
    options_type: ClassVar[type[BaseModel]] = MemoryOptions
    _options: MemoryOptions

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        super().__init__(handlers, settings, observers)
        self._scheduler.held = not self._options.autorun
        self._nested: dict[str, list[Job]] = {}
        self._stand_ins: dict[str, JobType[..., Any]] = {}

    def _concurrency(self) -> int:
        return 1

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
        job, is_new = self._accept(
            job_type, payload, timeout, key, metadata, delay, unique, connection
        )
        if is_new:
            await self._run([job])
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
        await self._run(jobs)
        return [job.job_id for job in jobs]

    async def _run(self, jobs: list[Job]) -> None:
        """Wait until *jobs* have finished; if a handler has submitted them, they come later."""
        outer = self._current()
        if outer is not None:
            self._nested.setdefault(outer.job.job_id, []).extend(jobs)
        elif self._options.autorun:
            await self._see_through(jobs)

    async def run_next(self) -> JobResult[Any] | None:
        """Run the next pending job until it finishes; its record, or None if nothing waits.

        The next is the one that is due first, whether or not its delay has passed. For queues
        with ``options={"autorun": False}``.
        """
        self._check_loop("run_next")
        if not self._scheduler.pending:
            return None
        if self._current() is not None:
            raise RuntimeError("run_next() inside a handler would wait for the slot it is in")
        job = cast(Job, self._scheduler.pending.first())
        self._scheduler.released.add(job.job_id)
        self._scheduler.fill()
        await until_finished(job, self._scheduler.loop)
        return job.record()

    def set_outcome(
        self,
        job_type: str,
        *,
        status: JobStatus = JobStatus.COMPLETED,
        result: Any = None,
        error: str | Exception | None = None,
    ) -> None:
        """Finish each later job of *job_type* like this, with or without a handler for it.

        If there is a handler, it still says which payloads and results fit.

        Raises:
            ValueError: *status* is not terminal, or does not go with *result* or *error*.
            TypeError: *result* is not what the handler declares, or is not JSON-serialisable.
            ResultTooLargeError: its JSON is larger than ``max_result_bytes``.
        """
        outcome = scripted(JobStatus(status), result, error)
        known = job_type in self.handlers
        definition = self.handlers.get(job_type) if known else stand_in(job_type)
        if result is not None:
            limit = self.settings.max_result_bytes
            outcome = replace(outcome, result=definition.result_through_json(result, limit))
        if not known:
            self._stand_ins[job_type] = definition
        self._scheduler.scripts[job_type] = outcome

    def set_default_outcome(
        self,
        *,
        status: JobStatus = JobStatus.COMPLETED,
        result: Any = None,
        error: str | Exception | None = None,
    ) -> None:
        """Finish each later job like this whose type has neither a handler nor an outcome.

        A submit of such a type is then accepted, with any payload.

        Raises:
            ValueError: *status* is not terminal, or does not go with *result* or *error*.
            TypeError: *result* is not JSON-serialisable.
            ResultTooLargeError: its JSON is larger than ``max_result_bytes``.
        """
        outcome = scripted(JobStatus(status), result, error)
        if result is not None:
            limit = self.settings.max_result_bytes
            outcome = replace(outcome, result=stand_in("any").result_through_json(result, limit))
        self._scheduler.default_script = outcome

    def _stand_in(self, job_type: str) -> JobType[..., Any]:
        with suppress(Exception):  # what is not text may raise anything when it is looked up
            return self._stand_ins[job_type]
        if self._scheduler.default_script is None or not isinstance(job_type, str) or not job_type:
            return super()._stand_in(job_type)
        name = str.__str__(job_type)
        return self._stand_ins.setdefault(name, stand_in(name))

    async def _see_through(self, jobs: list[Job]) -> None:
        """Wait until *jobs* and what their handlers submitted have finished."""
        try:
            for member in self._families(jobs):
                await until_finished(member, self._scheduler.loop)
        except asyncio.CancelledError:
            await self._withdraw(jobs)
            raise
        finally:
            for member in list(self._families(jobs)):
                self._nested.pop(member.job_id, None)

    async def _withdraw(self, jobs: list[Job]) -> None:
        """Cancel *jobs* and what their handlers submitted, and see them finish, whatever comes."""
        for member in reversed(list(self._families(jobs))):  # else one would start in between
            self._scheduler.cancel(member)
        for member in self._families(jobs):
            self._scheduler.cancel(member)
            await self._until_finished(member)

    async def _until_finished(self, job: Job) -> None:
        while not job.is_finished:
            try:
                await until_finished(job, self._scheduler.loop)
            except asyncio.CancelledError:
                self._scheduler.abandon(job)  # cancelled again: no time for a grace period

    def _families(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """*jobs*, what their handlers submitted, what theirs did, and so on, as they come."""
        for job in jobs:
            yield job
            yield from self._families(self._nested.get(job.job_id, ()))

    def _current(self) -> JobRun[Job] | None:
        """The run whose handler is calling, or None."""
        return self._scheduler.running.get(current_job_id.get() or "")

    def _find_to_wait(self, job_id: str, method: str) -> Job:
        job = super()._find_to_wait(job_id, method)
        if self._current() is not None and not job.is_finished:
            raise RuntimeError(
                f"{method}() inside a handler is a deadlock on a queue of one slot: job {job_id}"
                " cannot start before this handler returns; return, and wait outside"
            )
        return job
