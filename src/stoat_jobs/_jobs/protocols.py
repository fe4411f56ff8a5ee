"""The contract: what an endpoint needs from a queue, and what a backend provides.

It documents what each method promises; implementations do not repeat it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from .._model.capabilities import Capabilities
from .._model.pages import JobPage
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._model.stats import QueueStats
from .._model.status import JobStatus

if TYPE_CHECKING:
    from typing import Self

    from .handlers import JobHandlers


Statuses = JobStatus | str | Iterable[JobStatus | str]
"""One status or several, also as text."""

JobTypes = str | Iterable[str]
"""One job type or several."""

MetadataFilter = Mapping[str, str | bool | int | float]
"""What the metadata of a job must contain; other items do not matter."""

Unique = Literal["live", "kept"]


@runtime_checkable
class AsyncJobQueue(Protocol):
    """What an endpoint needs: submit work, and ask how it went.

    If an endpoint's queue has this type, a test may inject any stub with the three methods.
    """

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        """Accept a job and return its id, a random UUID4 in its usual text form.

        It never waits for a slot. The payload is validated against the handler's signature,
        then encoded as JSON and decoded once, so that the job sees a copy of its own. The checks
        come in this order, and if one fails nothing is queued: closed, job type, payload, key,
        full.

        On ``asyncio`` it does not yield to the event loop: if you submit thousands in a row,
        ``await asyncio.sleep(0)`` after every few hundred.

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
        """The job's record now; it does not wait for the job to finish.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...


@runtime_checkable
class JobBackend(AsyncJobQueue, Protocol):
    """What an app runs and a plug-in provides: a queue that is started and stopped.

    ``async with backend:`` starts it; at the end of the block it drains and stops. A queue that
    was left cleanly may be entered again, in another event loop too. It keeps its finished
    records, and reads work while it is closed.
    """

    handlers: JobHandlers
    """The job types that it runs, or that another process runs if it only submits. A
    :class:`JobType` refuses to be submitted if another function has its name here. ``lifespan``
    may replace this by a wider view while the queue runs."""

    app: Any
    """What handlers see as ``ctx.app``; ``lifespan`` sets it, and without one it is None."""

    @property
    def settings(self) -> JobQueueSettings:
        """The settings that it was made with."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can or cannot do by its nature; may be a class attribute."""
        ...

    @property
    def started(self) -> bool:
        """True from the end of a successful start until the stop begins."""
        ...

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = ...,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Unique = "live",
        connection: Any = None,
    ) -> str:
        """As :meth:`AsyncJobQueue.submit`, with options.

        Args:
            job_type: the name a handler is registered under.
            payload: the handler's arguments by name; none by default.
            timeout: seconds for this job, instead of the handler's own and the settings';
                ``math.inf`` for no limit.
            key: at most one job of this type with this key is pending, or running without
                a request to stop; submitting again returns that job's id, its payload
                unchanged. Use one if a user may press the button twice.
            metadata: a JSON object for the record and the handler: who asked, trace context. At
                most ``max_metadata_bytes``.
            delay: seconds before which the job does not start. Of the jobs that are due, the one
                that has been due longest starts first. It counts for ``max_pending``.
            unique: how long the job holds its *key*. ``"live"``: until it finishes or is told to
                stop. ``"kept"``: as long as its record is kept, so that a repeated request gets
                the job of the first one, finished or not.
            connection: of the caller, whose transaction the job becomes a part of: there is a job
                when that is committed, and none if it is rolled back. Only for backends with the
                capability ``joins_transactions``.

        Raises what :meth:`AsyncJobQueue.submit` raises, and besides:

        Raises:
            ValueError: an option is out of its range: a *timeout* that is not positive, an
                empty *key* or one over 1 KiB, *metadata* that is too large, U+0000 in either, a
                *delay* that is negative or not finite.
            TypeError: an option has the wrong type, or *metadata* has no JSON.
            KeyConflictError: with ``unique="kept"``, a job with another payload holds the *key*.
            RuntimeError: it was called from another thread or event loop while the queue runs;
                in a sync handler, use ``ctx.from_thread(ctx.queue.submit, ...)``.
            QueueNotStartedError: a durable queue accepts jobs only once it has started.
            JobNotKeptError: a durable queue could not store the job.
            NoTransactionsError: a *connection* was given, and the backend has no transactions.
        """
        ...

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
        """Accept all of these jobs or, if it raises, none; returns their ids, in order.

        The options are those of :meth:`submit`, for each of the jobs. A long answer gives up
        turns of the event loop.

        Raises what :meth:`submit` raises; the place in the errors of an
        :class:`InvalidPayloadError` begins with the index of the payload.
        """
        ...

    async def cancel(self, job_id: str) -> bool:
        """Ask a job to stop; returns at once.

        True: the job will finish as ``cancelled``, whatever its handler does from here; asked
        again, the answer is True again. False: it had already finished, or was already being
        stopped for another reason. A pending job is ``cancelled`` at once and never starts.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        """The current record, then each change, up to and including the terminal record.

        A slow reader misses records in between, but never the last one. It may stop reading at
        any time.

        Raises, at its first step:
            JobNotFoundError: unknown, or no longer kept.

        Raises, later:
            QueueClosedError: a durable queue closes before the job has finished.
        """
        ...

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        """The terminal record, as soon as there is one; an in-process queue does not poll.

        Whoever waited before the job finished gets the record, even if retention drops it at
        once.

        Raises:
            TimeoutError: the built-in one; the job has not finished after *timeout* seconds.
            JobNotFoundError: unknown, or no longer kept.
            QueueClosedError: a durable queue closes before the job has finished.
        """
        ...

    async def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        """Up to *limit* kept records, newest first, and the cursor of the next page.

        A long list gives up turns of the event loop. It has the jobs that were kept at the
        call, each once, as it was when the list came to it. Going on with the ``cursor`` of each
        page shows every record that stays exactly once, whatever comes and goes meanwhile.

        Args:
            status: only jobs of this status or these.
            job_type: only jobs of this type or these.
            metadata: only jobs whose metadata has all of these items: text, numbers, bools.
            before: the ``cursor`` of the page before.
            limit: at most 1,000.

        Raises:
            ValueError: there is no such status or cursor, or *limit* is negative or over 1,000.
            TypeError: an argument has the wrong type.
        """
        ...

    async def cancel_all(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
    ) -> int:
        """Ask every live job that matches to stop; returns how many will be ``cancelled``.

        The filters are those of :meth:`list_jobs`; it gives up turns of the event loop, and
        covers the jobs that were live at the call.

        Raises what :meth:`list_jobs` raises for a filter.
        """
        ...

    async def delete(self, job_id: str) -> bool:
        """Drop the record of a finished job now; False for a live one, which stays as it is.

        Raises:
            JobNotFoundError: unknown, or no longer kept.
        """
        ...

    async def resubmit(self, job_id: str) -> str:
        """Submit a finished job once more; returns the id of the new job.

        It has the same type, payload, time limit, key and metadata, to which
        ``resubmitted_from`` is added: the id of this one. If another job holds the key, that
        one's id is returned, as by :meth:`submit`.

        Raises what :meth:`submit` raises, and besides:

        Raises:
            JobNotFoundError: unknown, or no longer kept.
            PayloadNotKeptError: its job type does not have ``keep_payload``.
            ValueError: the job is live.
        """
        ...

    async def stats(self) -> QueueStats:
        """Counts at this moment, derived from the states of the jobs."""
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

        It returns within ``drain_timeout + 2 * cancel_grace + 1`` seconds, where
        ``cancel_grace`` is the longest of what still runs: that of its job type, or the setting.
        Every job has then finished; only a durable queue keeps its pending ones. If it is
        cancelled itself, every job is finished at once.
        """
        ...
