"""Everything that stoat-jobs raises on purpose.

JobsError
 +- JobNotFoundError         also a KeyError
 +- UnknownJobTypeError      also a LookupError
 +- HandlerMismatchError     also a ValueError
 +- InvalidPayloadError      also a ValueError
 +- KeyConflictError         also a ValueError
 +- PayloadNotKeptError      also a ValueError
 +- ResultTooLargeError      also a ValueError
 +- QueueFullError
 +- QueueClosedError         also a RuntimeError
 +- InvalidTransitionError   also a RuntimeError
 +- BackendNotFoundError     also a LookupError
 +- BackendError             also a RuntimeError
 |   +- BackendClashError
 |   +- BackendImportError
 |   +- BackendStartError
 |   +- QueueStartedError
 |   +- QueueNotStartedError
 |   +- JobNotKeptError
 |   +- NoTransactionsError  also a TypeError
 +- JobFailedError

Each takes typed arguments, keeps them as attributes and writes its own message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._text import nearest_first, one_line, shown, some

if TYPE_CHECKING:
    from .records import JobResult

_TEXT_LIMIT = 4000


class JobsError(Exception):
    """The root of every error that stoat-jobs raises; ``args`` is what it was made from."""

    def __str__(self) -> str:
        return one_line(self._message(), _TEXT_LIMIT)

    def _message(self) -> str:
        return ", ".join(map(str, self.args))


class JobNotFoundError(JobsError, KeyError):
    """The queue knows no job with this id, or has dropped its record."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def _message(self) -> str:
        return (
            f"no job {shown(self.job_id)}: it was never submitted here, or its record was dropped"
            " after result_ttl or max_results; with several server processes (uvicorn --workers) an"
            " in-process queue knows only the jobs of its own process"
        )


class UnknownJobTypeError(JobsError, LookupError):
    """No handler is registered under this job type."""

    def __init__(self, job_type: str, known: Sequence[str] = ()) -> None:
        super().__init__(job_type, known)
        self.job_type = job_type
        self.known: tuple[str, ...] = tuple(nearest_first(job_type, known))

    def _message(self) -> str:
        if remedy := _by_its_name(self.job_type):
            return f"{remedy}; known: {some(', ', self.known) or 'none'}"
        name = shown(self.job_type)
        if not self.known:
            return f"unknown job type {name}: this queue has no handlers at all"
        return f"unknown job type {name}; known, nearest first: {some(', ', self.known)}"


def _by_its_name(given: Any) -> str | None:
    """What to write instead of a function, or a job type, in the place of its name."""
    try:
        if not callable(given):
            return None
        own = str(given.__name__)
        name = getattr(given, "name", own)  # a job type may be registered under another
    except Exception:  # whatever a foreign object raises when it is looked at
        return None
    return (
        f"a job type is submitted by its name: queue.submit({shown(name)}, ...), or, typed, by"
        f" its own method: {own}.submit(queue, ...)"
    )


class HandlerMismatchError(JobsError, ValueError):
    """A queue has another function under the name of a job type.

    :meth:`JobType.submit` raises it before anything is queued, and :func:`lifespan` for handlers
    that it lends. ``wanted`` names the function that was meant, ``served`` the one that would
    have run.
    """

    def __init__(self, job_type: str, wanted: str, served: str) -> None:
        super().__init__(job_type, wanted, served)
        self.job_type = job_type
        self.wanted = wanted
        self.served = served

    def _message(self) -> str:
        twice = "; their code was loaded or run twice" if self.wanted == self.served else ""
        return (
            f"job type {shown(self.job_type)} is {self.wanted}, but this queue would run another"
            f" function, {self.served}{twice}: submit it to the queue that has its function, or"
            " give one of the two another name; two queues on one app are"
            ' lifespan(app, ...) and lifespan(app, ..., name="io"), each with its own handlers'
        )


class InvalidPayloadError(JobsError, ValueError):
    """The payload does not fit the handler, or does not survive JSON.

    ``errors`` has the form of :meth:`pydantic.ValidationError.errors`: dicts with ``type``,
    ``loc`` and ``msg``. It has no inputs, because a payload may contain secrets.
    """

    def __init__(self, job_type: str, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(job_type, errors)
        self.job_type = job_type
        self.errors: list[dict[str, Any]] = [dict(error) for error in errors]

    def _message(self) -> str:
        details = some("; ", [*map(self._one, self.errors)])
        return f"the payload does not fit job type {shown(self.job_type)}: {details}"

    def _one(self, error: Mapping[str, Any]) -> str:
        place = ".".join(map(str, error.get("loc", ())))
        return f"{place}: {error['msg']}" if place else str(error["msg"])


class KeyConflictError(JobsError, ValueError):
    """A key with ``unique="kept"`` is that of a job with another payload; ``job_id`` is its id."""

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(key, job_id)
        self.key = key
        self.job_id = job_id

    def _message(self) -> str:
        return (
            f"key {shown(self.key)} is that of job {shown(self.job_id)}, which has another payload:"
            " send the same payload again, or use another key"
        )


class PayloadNotKeptError(JobsError, ValueError):
    """A job cannot be submitted again, because its payload was not kept."""

    def __init__(self, job_id: str, job_type: str) -> None:
        super().__init__(job_id, job_type)
        self.job_id = job_id
        self.job_type = job_type

    def _message(self) -> str:
        return (
            f"the payload of job {shown(self.job_id)} was not kept: register {shown(self.job_type)}"
            " with keep_payload=True, for the jobs from then on"
        )


class ResultTooLargeError(JobsError, ValueError):
    """Why a job failed: ``size``, of its result as JSON, is over ``limit``, both in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def _message(self) -> str:
        return (
            f"the result is {self.size} bytes of JSON, more than max_result_bytes ({self.limit}):"
            " keep large data in a file or an object store, and return the path of a large result"
        )


class QueueFullError(JobsError):
    """As many jobs wait as ``max_pending`` allows; try again later."""

    def __init__(self, max_pending: int) -> None:
        super().__init__(max_pending)
        self.max_pending = max_pending

    def _message(self) -> str:
        return (
            f"the queue is full: {self.max_pending} jobs wait already; try again later, or raise"
            " max_pending or concurrency"
        )


class QueueClosedError(JobsError, RuntimeError):
    """The queue accepts no more work, because it is closing or closed."""

    def _message(self) -> str:
        return (
            "the queue is closing or closed and accepts no more work; enter it again to use it (in"
            " a test: inside the `with` block of its client)"
        )


class InvalidTransitionError(JobsError, RuntimeError):
    """A status change that the table forbids: a bug in a backend."""

    def __init__(self, job_id: str, current: str, wanted: str) -> None:
        super().__init__(job_id, current, wanted)
        self.job_id = job_id
        self.current = current
        self.wanted = wanted

    def _message(self) -> str:
        return f"job {self.job_id} cannot go from {self.current} to {self.wanted}"


class BackendNotFoundError(JobsError, LookupError):
    """No installed distribution offers a backend of this name."""

    def __init__(self, name: str, available: Sequence[str] = (), extra: str | None = None) -> None:
        super().__init__(name, available, extra)
        self.name = name
        self.available: tuple[str, ...] = tuple(available)
        self.extra = extra

    def _message(self) -> str:
        message = f"no backend {shown(self.name)}; installed: {', '.join(self.available) or 'none'}"
        if self.extra:
            message += f'; to get it: pip install "stoat-jobs[{self.extra}]"'
        return message


class BackendError(JobsError, RuntimeError):
    """A backend cannot be loaded, cannot start, or cannot do what was asked of it.

    ``reason`` continues the sentence that ``name`` begins: ``"needs `url` in its settings"``.
    A backend raises this error for settings that cannot be right.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def _message(self) -> str:
        return f"backend {shown(self.name)} {self.reason}"


class BackendClashError(BackendError):
    """Several distributions claim the name of a backend; ``claimants`` names them."""

    def __init__(self, name: str, claimants: Sequence[str]) -> None:
        super().__init__(name, f"is claimed by {' and '.join(claimants)}; uninstall one of them")
        # Here and below: `args` is what this class was given, so that a copy can be made of it.
        Exception.__init__(self, name, claimants)
        self.claimants: tuple[str, ...] = tuple(claimants)


class BackendImportError(BackendError):
    """A backend is installed but cannot be imported; ``__cause__`` is what the import raised.

    ``distribution`` names what installed it, ``extras`` the extras that it needs.
    """

    def __init__(
        self, name: str, distribution: str, cause: str, extras: Sequence[str] = ()
    ) -> None:
        reason = f"of {distribution} cannot be imported: {cause}"
        if extras:
            reason += f'; try: pip install "{distribution}[{",".join(extras)}]"'
        super().__init__(name, reason)
        Exception.__init__(self, name, distribution, cause, extras)
        self.distribution = distribution
        self.cause = cause
        self.extras: tuple[str, ...] = tuple(extras)


class BackendStartError(BackendError):
    """A backend cannot start now, as when its engine does not answer; ``cause`` says why."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(name, f"cannot start: {cause}")
        Exception.__init__(self, name, cause)
        self.cause = cause


class QueueStartedError(BackendError):
    """A queue that has been started is started again."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "is started already; start a queue once, and share it")
        Exception.__init__(self, name)


class QueueNotStartedError(BackendError):
    """A job was submitted before the start, to a queue that keeps its jobs outside the process."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            "accepts no jobs before its start: run the app's lifespan, or enter the queue with"
            " `async with queue:`",
        )
        Exception.__init__(self, name)


class JobNotKeptError(BackendError):
    """A job was refused because its store failed; ``cause`` says how. Try again later."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(name, f"cannot keep a job: {cause}")
        Exception.__init__(self, name, cause)
        self.cause = cause


class NoTransactionsError(BackendError, TypeError):
    """A submission names a ``connection``, but the queue keeps its jobs elsewhere."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            "has no transactions to join: leave out `connection`, or use a backend with the"
            " capability joins_transactions, such as postgres",
        )
        Exception.__init__(self, name)


class JobFailedError(JobsError):
    """A job that was asked for its value did not complete.

    Only :meth:`JobRef.value` raises it. ``record`` is the terminal :class:`JobResult`; its
    status tells failed, timeout and cancelled apart.
    """

    def __init__(self, record: JobResult[Any]) -> None:
        super().__init__(record)
        self.record = record

    def _message(self) -> str:
        record = self.record
        return f"job {record.job_id} ({record.job_type}) {record.status}: {record.error}"
