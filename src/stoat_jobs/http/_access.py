"""Who may do what: closed unless the application says otherwise."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from stoat_jobs import JobResult
from stoat_jobs.backends import JobFilter, log_event

from ._problems import ProblemError, ProblemKind, job_not_found


class Operation(StrEnum):
    """What a request wants to do; compares equal to its text, as in ``"cancel"``."""

    LIST = "list"
    SUBMIT = "submit"
    READ = "read"
    WAIT = "wait"
    EVENTS = "events"
    CANCEL = "cancel"
    CANCEL_MANY = "cancel_many"
    RESUBMIT = "resubmit"
    DELETE = "delete"
    STATS = "stats"
    WATCH_ALL = "watch_all"
    DASHBOARD = "dashboard"


@dataclass(frozen=True)
class AccessRequest:
    """What ``authorize`` is asked: whether *request* may do *operation*.

    ``record`` is the job's, None if the request is not about one job or the id is unknown.
    """

    request: Request
    operation: Operation
    record: JobResult[Any] | None = None


Items = Mapping[str, str | bool | int | float]

Authorize = Callable[[AccessRequest], Awaitable[bool | Items]]

_EVERY_JOB = JobFilter()

# What whoever knows the random id of a job may do where nobody is asked.
_OPEN = frozenset({Operation.READ, Operation.WAIT, Operation.EVENTS})

# What an ``HTTPException`` that says no has for its status.
_REFUSALS = frozenset({401, 403, 404})


async def allow_all(access: AccessRequest) -> bool:
    """An ``authorize`` that lets everybody do everything.

    Use it if something in front of the application lets nobody else through, and in tests.
    """
    return True


async def _for_who_knows_the_id(access: AccessRequest) -> bool:
    """What holds without an ``authorize``."""
    return access.operation in _OPEN


class Access:
    """Asks ``authorize``."""

    def __init__(self, authorize: Authorize | None) -> None:
        self._authorize = _for_who_knows_the_id if authorize is None else _checked(authorize)

    @property
    def is_default(self) -> bool:
        """The application does not say who may do what."""
        return self._authorize is _for_who_knows_the_id

    async def check(
        self, request: Request, operation: Operation, record: JobResult[Any] | None = None
    ) -> JobFilter:
        """The jobs with which *request* may do this; raises if it may not do it at all."""
        own = await self._own(request, operation, record)
        if own is None:
            raise _closed(operation) if self.is_default else _refused(operation)
        return own

    async def check_job(
        self, request: Request, operation: Operation, record: JobResult[Any] | None
    ) -> JobResult[Any]:
        """*record*, with which *request* may do this; None is that of an id that nobody knows.

        An unknown id is admitted to be unknown only when *authorize* was asked, and a 404 of
        *authorize* is that of an unknown id, so that nobody can tell the two apart. So is the
        answer if the job is not among those that *authorize* names.
        """
        try:
            own = await self.check(request, operation, record)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            raise job_not_found() from error
        if record is None or not own.matches(record):
            raise job_not_found()
        return record

    async def may_read(self, request: Request, record: JobResult[Any]) -> bool:
        """Whether *request* may read *record*, in whichever way *authorize* says no."""
        try:
            own = await self._own(request, Operation.READ, record)
            return own is not None and own.matches(record)
        except HTTPException as error:
            if error.status_code not in _REFUSALS:
                raise
            return False

    async def _own(
        self, request: Request, operation: Operation, record: JobResult[Any] | None
    ) -> JobFilter | None:
        """The jobs with which *request* may do this; None if it may not do it at all."""
        try:
            return _jobs_of(await self._authorize(AccessRequest(request, operation, record)))
        except (HTTPException, ClientDisconnect):  # it may have read the body
            raise
        except Exception as error:
            log_event(logging.ERROR, "authorize_failed", exc_info=error, operation=str(operation))
            detail = "the server could not find out whether you may do this"
            raise ProblemError(ProblemKind.AUTHORIZATION_FAILED, detail) from error


def _checked(authorize: Authorize) -> Authorize:
    """*authorize*; refused when the app is made if it cannot be asked."""
    try:
        inspect.signature(authorize).bind(None)
    except ValueError:  # it is written in C, and does not say what it takes
        return authorize
    except TypeError as error:
        raise TypeError(
            "authorize is called with one AccessRequest: write `async def authorize(access:"
            " AccessRequest) -> bool` and read access.request, access.operation and"
            f" access.record there; this one cannot be called so: {error}"
        ) from None
    return authorize


def _jobs_of(answer: object) -> JobFilter | None:
    """The jobs that an *answer* of ``authorize`` allows; None for none."""
    if isinstance(answer, bool):  # a coroutine that nobody awaited is true, too
        return _EVERY_JOB if answer else None
    if not isinstance(answer, Mapping):
        kind = type(answer).__name__
        raise TypeError(f"authorize must return a bool or a mapping of metadata, not {kind}")
    own = JobFilter.checked(metadata=answer)
    if own.is_open:
        raise ValueError("authorize returned no metadata: to allow every job, it returns True")
    return own


def _refused(operation: Operation) -> ProblemError:
    return ProblemError(ProblemKind.NOT_ALLOWED, f"you may not do this here: {operation}")


def _closed(operation: Operation) -> ProblemError:
    return ProblemError(
        ProblemKind.OPERATION_CLOSED,
        f"{operation} is closed here: the application opens it with authorize=, which is asked"
        " each time, or for everybody with authorize=allow_all",
    )
