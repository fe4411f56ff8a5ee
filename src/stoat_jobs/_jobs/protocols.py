"""The contract: what an endpoint needs of a queue, and what a backend provides.

Implementations keep their methods bare; what a method promises is written here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .._model.capabilities import Capabilities
from .._model.records import (
    FinishedEvent,
    JobResult,
    ProgressEvent,
    QueueStats,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
)
from .._model.settings import JobQueueSettings
from .._model.status import JobStatus

if TYPE_CHECKING:
    from typing import Self

    from .handlers import JobHandlers


@runtime_checkable
class AsyncJobQueue(Protocol):
    """What an endpoint needs: put work in, ask how it went.

    Type an endpoint's queue as this and a test may inject any three-method stub.
    """

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        """Accept a job and return its id, a random UUID4 in its usual text form.

        Never waits for a slot. The payload is validated against the handler's signature,
        then encoded as JSON and decoded once, so that the job sees a copy of its own.
        Checked in this order, nothing queued when one fails: closed, job type, payload,
        key, full.

        On ``asyncio`` it gives up no turn of the event loop: whoever submits thousands in a
        row puts an ``await asyncio.sleep(0)`` after every few hundred.

        Raises:
            QueueClosedError: the queue is closing or closed.
            UnknownJobTypeError: no handler has this name.
            InvalidPayloadError: it does not fit the handler, or does not survive JSON.
            QueueFullError: ``max_pending`` jobs wait already.
        """
        ...

    async def get_status(self, job_id: str) -> JobStatus:
        """The job's status now.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...

    async def get_result(self, job_id: str) -> JobResult[Any]:
        """The job's record now. Never blocks: one that has not finished says so.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...


@runtime_checkable
class JobBackend(AsyncJobQueue, Protocol):
    """What an app runs and a plug-in provides: a queue with a life of its own.

    ``async with backend:`` starts it, and drains and stops it on the way out.
    One left cleanly may be entered again, in another event loop too; its finished
    records are kept, and reads work while it is closed.
    """

    handlers: JobHandlers
    """The job types it serves, or that serve what it only submits: a :class:`JobType` is
    refused by its own ``submit`` where another function has its name here. ``lifespan`` may put
    a wider view here while the queue runs."""

    app: Any
    """What handlers see as ``ctx.app``; set by ``lifespan``, None without one."""

    @property
    def settings(self) -> JobQueueSettings:
        """The settings it was made with."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can or cannot do by its nature; a class attribute serves."""
        ...

    @property
    def started(self) -> bool:
        """True from the end of a successful start to the beginning of the stop."""
        ...

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = ...,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """As :meth:`AsyncJobQueue.submit`, with options.

        Args:
            job_type: the name a handler is registered under.
            payload: the handler's arguments by name; none by default.
            timeout: seconds for this job, over the handler's own and the settings';
                ``math.inf`` for no limit.
            key: at most one job of this type with this key is pending, or running without
                a request to stop; submitting again returns that job's id, its payload
                unchanged. Take one where a user may press the button twice.
            metadata: small text pairs, 4 KiB in all, kept on the record and seen by the
                handler: who asked, trace context.

        Raises:
            ValueError: an option is out of its range (a *timeout* of 0, less, or NaN; an
                empty *key* or one over 1 KiB; *metadata* too large), besides what
                :meth:`AsyncJobQueue.submit` raises.
            TypeError: an option is of another type.
            RuntimeError: called from a foreign thread or event loop while the queue runs;
                a sync handler uses ``ctx.from_thread(ctx.queue.submit, ...)``.
        """
        ...

    async def cancel(self, job_id: str) -> bool:
        """Ask a job to stop; returns at once.

        True: the job will end ``cancelled``, whatever its handler does from here (asked
        again, True again). False: it had already finished, or was already being stopped for
        another reason. A pending job is ``cancelled`` at once and never starts.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        """The current record, then changes up to and with the terminal one.

        A slow reader skips records in between, never the last. Walking away costs nothing.

        Raises, at its first step:
            JobNotFoundError: unknown, or no longer kept.

        Raises, later:
            QueueClosedError: a durable backend closes while the job goes on.
        """
        ...

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        """The terminal record, as soon as there is one; nothing polls in-process.

        Who waited before the end gets it even if retention drops the record at once.

        Raises:
            TimeoutError: the built-in one; *timeout* seconds passed and the job goes on.
            JobNotFoundError: unknown, or no longer kept.
            QueueClosedError: a durable backend closes while the job goes on.
        """
        ...

    async def list_jobs(
        self, *, status: JobStatus | None = None, job_type: str | None = None, limit: int = 100
    ) -> list[JobResult[Any]]:
        """Up to *limit* kept records, newest first; of one status or job type, if given.

        Raises:
            ValueError: there is no such status, or *limit* is negative.
            TypeError: *job_type* is not the name of one, or *limit* no int.
        """
        ...

    async def stats(self) -> QueueStats:
        """Counts at this moment, derived from the states themselves."""
        ...

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            QueueStartedError: it is started already.
            BackendError: it cannot start; says why.
        """
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None:
        """Refuse new work, let running jobs finish for ``drain_timeout``, stop the rest.

        Returns within ``drain_timeout + 2 * cancel_grace + 1`` seconds with every job
        settled (an engine that persists keeps its pending ones). Cancelled itself, it
        settles every job at once.
        """
        ...


class JobObserver:
    """Base of observers; override what you need.

    Hooks are synchronous, get one frozen event each and cannot hurt a job: one that
    raises is logged once and its observer dropped from the queue. Any object with some of
    these methods serves as well. ``started`` and ``finished`` run in the job's own context.
    """

    def enabled(self, hook: str) -> bool:
        """Whether *hook*'s event is worth building for this observer now.

        It may be told all the same: when another observer wants the event, and always of a
        failed attempt and of a job that does not complete.
        """
        return True

    def submitting(self, event: SubmittingEvent) -> Mapping[str, str] | None:
        """A job was found valid and has no id yet; runs in the submitter's context.

        The text pairs returned join the metadata; those of the submitter win.
        """
        return None

    def submitted(self, event: SubmittedEvent) -> None:
        """A job was accepted; runs in the submitter's context."""

    def started(self, event: StartedEvent) -> None:
        """A handler is about to be called, once for each attempt."""

    def progress(self, event: ProgressEvent) -> None:
        """A handler reported progress."""

    def finished(self, event: FinishedEvent) -> None:
        """A job was settled, once for each job; its record already says so."""
