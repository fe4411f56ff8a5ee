"""The backend for tests: the same machine, one job at a time, done when submit returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel

from .._jobs.context import current_job_id
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.errors import UnknownJobTypeError
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus
from .._run.outcome import Outcome
from .._run.run import JobRun
from .in_process_queue import NO_PAYLOAD, InProcessQueue
from .scheduler import Slots
from .scripting import scripted, stand_in
from .table import Job
from .waiting import until_terminal


class _MemorySlots(Slots):
    """One slot, which a job may be held back from."""

    delays = False
    kept_as_is = frozenset()
    held = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.released: set[str] = set()
        self.scripts: dict[str, Outcome] = {}

    def _may_start(self) -> bool:
        held = self.held and self.pending.first().job_id not in self.released
        return not held and super()._may_start()

    def _start(self, job: Job) -> None:
        script = self.scripts.get(job.job_type)
        if script is None:
            super()._start(job)
        else:
            job.context.run(self._play, job, script)

    def _play(self, job: Job, script: Outcome) -> None:
        current_job_id.set(job.job_id)
        self._table.start(job)
        self.tell_started(job)
        self.finish(job, script)

    def keep_result(self, handler: JobType[..., Any], value: Any) -> Any:
        return handler.result_through_json(value)

    def settled(self, run: JobRun[Job], outcome: Outcome) -> None:
        super().settled(run, outcome)
        if not self.running:
            self.deadlines.close()  # a test's loop is left as it was

    def finish(self, job: Job, outcome: Outcome) -> None:
        self.released.discard(job.job_id)
        super().finish(job, outcome)


class MemoryOptions(BaseModel, frozen=True, extra="forbid"):
    """What the settings' ``options`` may say to this backend."""

    autorun: bool = True


class InMemoryJobQueue(InProcessQueue):
    """Jobs one at a time, in the order of submission; ``submit`` returns when its job ended.

    Take it in tests: nothing has to be started or waited for, and the test sees what an
    app would see. It refuses what a durable engine would refuse: results go through JSON,
    as payloads do. Retries are not waited for; old records go when the queue is asked.

    A submit from inside a handler returns the id of a pending job, which runs before the
    outer submit returns. Cancelling a submit cancels its job.

    ``options={"autorun": False}`` holds jobs until :meth:`run_next`, for tests that look at
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
    capabilities: ClassVar[Mapping[str, bool]] = {
        "concurrent": False,
        "submit_returns_early": False,
        "waits_between_attempts": False,
    }
    slots_type = _MemorySlots
    _slots: _MemorySlots
    options_type = MemoryOptions
    _options: MemoryOptions

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        super().__init__(handlers, settings, observers)
        self._slots.open = True  # works without being entered
        self._slots.held = not self._options.autorun
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
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        job, is_new = self._accept(job_type, payload, timeout, key, metadata)
        outer = self._current()
        if is_new and outer is not None:
            self._nested.setdefault(outer.job.job_id, []).append(job)
        elif is_new and self._options.autorun:
            await self._see_through(job)
        return job.job_id

    async def run_next(self) -> JobResult[Any] | None:
        """Run the oldest pending job to its end; its record, or None if nothing waits.

        For queues with ``options={"autorun": False}``.
        """
        self._check_loop("run_next")
        if self._slots.pending.empty():
            return None
        if self._current() is not None:
            raise RuntimeError("run_next() inside a handler would wait for the slot it is in")
        job = self._slots.pending.first()
        self._slots.released.add(job.job_id)
        self._slots.fill()
        await until_terminal(job)
        return job.record()

    def set_outcome(
        self,
        job_type: str,
        *,
        status: JobStatus = JobStatus.COMPLETED,
        result: Any = None,
        error: str | Exception | None = None,
    ) -> None:
        """End each later job of *job_type* like this, with or without a handler for it.

        Its handler, if there is one, still says which payloads and results fit.

        Raises:
            ValueError: *status* is not terminal, or does not go with *result* or *error*.
            TypeError: *result* is not what the handler declares, or has no JSON.
        """
        outcome = scripted(JobStatus(status), result, error)
        known = job_type in self.handlers
        handler = self.handlers.get(job_type) if known else stand_in(job_type)
        if result is not None:
            outcome = replace(outcome, result=handler.result_through_json(result))
        if not known:
            self._stand_ins[job_type] = handler
        self._slots.scripts[job_type] = outcome

    def _handler(self, job_type: str) -> JobType[..., Any]:
        try:
            return super()._handler(job_type)
        except UnknownJobTypeError:
            with suppress(Exception):  # what is no text may raise anything when it is looked up
                return self._stand_ins[job_type]
            raise

    async def _see_through(self, job: Job) -> None:
        """Wait for the end of *job* and of what its handler submitted."""
        try:
            for member in self._family(job):
                await until_terminal(member)
        except asyncio.CancelledError:
            await self._withdraw(job)
            raise
        finally:
            for member in list(self._family(job)):
                self._nested.pop(member.job_id, None)

    async def _withdraw(self, job: Job) -> None:
        """Cancel *job* and what its handler submitted, and see them settled, whatever comes."""
        for member in reversed(list(self._family(job))):  # else one would start in between
            self._slots.cancel(member)
        for member in self._family(job):
            self._slots.cancel(member)
            await self._until_settled(member)

    async def _until_settled(self, job: Job) -> None:
        while not job.status.is_terminal:
            try:
                await job.change()
            except asyncio.CancelledError:
                self._slots.abandon(job)  # cancelled again: no time for a grace period

    def _family(self, job: Job) -> Iterator[Job]:
        """*job*, what its handler submitted, what theirs did; reads on while they grow."""
        yield job
        for nested in self._nested.get(job.job_id, ()):
            yield from self._family(nested)

    def _current(self) -> JobRun[Job] | None:
        """The run whose handler is calling, if one is."""
        return self._slots.running.get(current_job_id.get() or "")

    def _find_to_wait(self, job_id: str, method: str) -> Job:
        job = super()._find_to_wait(job_id, method)
        if self._current() is not None and not job.status.is_terminal:
            raise RuntimeError(
                f"{method}() inside a handler is a deadlock on a queue of one slot: job {job_id}"
                " cannot start before this handler returns; return, and wait outside"
            )
        return job
