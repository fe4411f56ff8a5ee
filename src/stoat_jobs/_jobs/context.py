"""What a handler receives about the job it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from .._model.metadata import METADATA_LIMIT, NO_METADATA, checked_metadata
from .._text import one_line
from .stop_signal import StopSignal, is_running_here

if TYPE_CHECKING:
    from .protocols import JobBackend

T = TypeVar("T")

MESSAGE_LIMIT = 500

current_job_id: ContextVar[str | None] = ContextVar("stoat_jobs.current_job_id", default=None)
"""The id of the job whose handler runs here, None elsewhere; for the handler's own logs."""


current_context: ContextVar[JobContext | None] = ContextVar("stoat_jobs.current_job", default=None)


def current_job() -> JobContext | None:
    """The context of the job whose handler runs here, None elsewhere.

    It is there wherever the handler's context variables are: in the functions that it calls, in
    its tasks, and in threads to which it copies them, as ``asyncio.to_thread`` does. What goes on
    after the job has finished still gets its context, whose calls are then ignored.

    >>> def report(done: int, of: int) -> None:
    ...     if job := current_job():
    ...         job.set_progress(done / of)
    """
    context = current_context.get()
    # Another id: a job that was submitted by the handler, and has no context of its own yet.
    return context if context is None or context.job_id == current_job_id.get() else None


def variables_of(job_id: str) -> Context:
    """Fresh context variables for a job: those of its submitter are in another process.

    Only :data:`current_job_id` is set, for handlers, observers and the log.
    """
    variables = Context()
    variables.run(current_job_id.set, job_id)
    return variables


class ContextLink(Protocol):
    """The running job behind a context: what :class:`JobContext` asks of it."""

    @property
    def cancelled(self) -> bool: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    def report(self, fraction: float, message: str | None) -> None: ...

    def update_metadata(self, fields: Mapping[str, Any]) -> None: ...

    def run_from_thread(self, coro: Coroutine[Any, Any, T]) -> T: ...

    async def wait_cancelled(self) -> None: ...


class _Detached:
    """Stands in for a running job in a unit test."""

    loop = None

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.signal = StopSignal()

    @property
    def cancelled(self) -> bool:
        return self.signal.told is True

    def report(self, fraction: float, message: str | None) -> None:
        """The context itself has kept it."""

    def update_metadata(self, fields: Mapping[str, Any]) -> None:
        self.metadata = checked_metadata({**self.metadata, **fields}, METADATA_LIMIT)

    def run_from_thread(self, coro: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(coro)

    async def wait_cancelled(self) -> None:
        await self.signal.wait()


class JobContext:
    """A handler's first argument: which job it runs, and how it talks to its queue.

    Use ``JobContext()`` in a unit test of a handler. It shows what was reported, and
    :meth:`cancel` tells the handler to stop:

    >>> def count(ctx: JobContext, n: int) -> int:
    ...     ctx.set_progress(1.0, f"{n} of {n}")
    ...     return n
    >>> ctx = JobContext()
    >>> count(ctx, n=3), ctx.progress, ctx.message
    (3, 1.0, '3 of 3')

    Attributes:
        job_id: the job's id, a UUID4 in text form.
        job_type: the name the handler was registered under.
        attempt: how many times the handler was started for this job before.
        app: the app that ``lifespan`` was given, or None.
        queue: the queue that runs the job, for submitting more. None in a test that does not
            give one; use an ``InMemoryJobQueue``.
    """

    __slots__ = ("_link", "_reported", "app", "attempt", "job_id", "job_type", "queue")
    job_id: str
    job_type: str
    attempt: int
    app: Any
    queue: JobBackend
    _reported: tuple[float, str | None]

    def __init__(
        self,
        *,
        job_id: str = "",
        job_type: str = "",
        attempt: int = 0,
        metadata: Mapping[str, Any] = NO_METADATA,
        app: Any = None,
        queue: JobBackend | None = None,
    ) -> None:
        self.job_id = job_id
        self.job_type = job_type
        self.attempt = attempt
        self.app = app
        self.queue = cast("JobBackend", queue)  # a handler always has one
        self._link: ContextLink = _Detached(metadata)

    def set_progress(self, fraction: float, message: str | None = None) -> None:
        """Report the progress of the job, from 0 to 1; ignored once the job has finished.

        Safe in any thread. *message* is put on one line and cut to 500 characters; None means
        no message.

        Raises:
            ValueError: *fraction* is NaN or outside 0..1.
            TypeError: *fraction* is not a number.
        """
        if isinstance(fraction, str):
            raise TypeError("progress must be a number, not text")
        fraction = float(fraction)
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"progress must be a fraction from 0 to 1, not {fraction!r}")
        if message is not None:
            message = one_line(str(message), MESSAGE_LIMIT)
        self._reported = (fraction, message)
        self._link.report(fraction, message)

    @property
    def progress(self) -> float | None:
        """The fraction that this attempt last reported; None before."""
        return self._last_report()[0]

    @property
    def message(self) -> str | None:
        """The message that came with it, as the record keeps it."""
        return self._last_report()[1]

    def _last_report(self) -> tuple[float | None, str | None]:
        return getattr(self, "_reported", (None, None))  # most jobs never set it

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata given at submission, with all updates; read-only.

        Lists and objects in it are copies.
        """
        return self._link.metadata

    def update_metadata(self, /, **fields: Any) -> None:
        """Set these fields of the job's metadata; ignored once the job has finished.

        Safe in any thread. They are on the record from then on, whoever watches the job sees
        them, and so do further attempts. Nobody is told of each of several updates that a thread
        makes in a row, only of the latest. A store keeps them.

        >>> ctx = JobContext(metadata={"user": "ada"})
        >>> ctx.update_metadata(pages=3, sizes=[10, 20, 30])
        >>> dict(ctx.metadata)
        {'user': 'ada', 'pages': 3, 'sizes': [10, 20, 30]}

        Raises:
            TypeError: a field has no JSON.
            ValueError: a field is a number or text that JSON does not have, contains U+0000, is
                nested more than 64 levels deep, or makes the whole larger than
                ``max_metadata_bytes``.
        """
        self._link.update_metadata(fields)

    @property
    def cancelled(self) -> bool:
        """True once the job was told to stop: by a caller, its deadline or the shutdown.

        A sync handler has only this flag, so a long one should check it now and then.
        """
        return self._link.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise :class:`asyncio.CancelledError` once the job was told to stop.

        Clean up and let it propagate: the job then finishes as it was told to.
        """
        if self._link.cancelled:
            raise asyncio.CancelledError("the job was told to stop")

    async def wait_cancelled(self) -> None:
        """Return once the job was told to stop, for whatever reason; at once if it was before.

        For a cooperative handler that waits, or for a task beside the handler that ends what the
        handler has begun. It works on any event loop, also on one that a sync handler runs. If
        the job finishes without being told to stop, this is cancelled, so that nothing waits for
        ever. An ``async`` handler that is not cooperative gets ``CancelledError`` as ever.

        Raises:
            asyncio.CancelledError: the job has finished, and was never told to stop.
        """
        await self._link.wait_cancelled()

    def cancel(self) -> None:
        """In a unit test, tell the handler to stop: :attr:`cancelled` is True from here.

        Safe in any thread; it wakes :meth:`wait_cancelled`.

        Raises:
            RuntimeError: a queue runs this job; cancel it there.
        """
        if isinstance(self._link, _Detached):
            self._link.signal.give(told=True)
            return
        raise RuntimeError(
            "ctx.cancel() is for the JobContext() of a unit test: to stop a running job, use"
            " `await ctx.queue.cancel(ctx.job_id)`"
        )

    def from_thread(self, async_fn: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run ``async_fn(*args)`` on the queue's event loop and wait for its value.

        For sync handlers, which run in a thread: ``ctx.from_thread(ctx.queue.submit, "thumbnail",
        {"path": path})``. In a unit test, with ``JobContext()``, it runs in a loop of its own.

        It is cancelled as an ``async`` handler is: when the job is told to stop, or one grace
        period later if the handler is cooperative. Once the job has finished, nothing is run.

        Raises:
            asyncio.CancelledError: the job was told to stop meanwhile, or has finished.
            RuntimeError: it was called on the event loop's own thread, which it would block for
                ever, or the event loop has been closed.
        """
        if is_running_here(self._link.loop):
            raise RuntimeError("from_thread() would block the event loop: use `await` here")
        return self._link.run_from_thread(async_fn(*args))

    def __repr__(self) -> str:
        return f"JobContext({self.job_id!r}, {self.job_type!r}, attempt={self.attempt})"


class _Known(Protocol):
    """What a context says of its job."""

    job_id: str
    job_type: str


_new = object.__new__


def context_of(job: _Known, attempt: int, queue: Any, link: ContextLink) -> JobContext:
    """The context of a running job.

    The constructor would take twice as long, because of its keywords: a twentieth of a job.
    """
    context: JobContext = _new(JobContext)
    context.job_id = job.job_id
    context.job_type = job.job_type
    context.attempt = attempt
    context.app = queue.app
    context.queue = queue
    context._link = link
    return context
