"""Who may do what: closed unless the application says otherwise."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from stoat_jobs import JobResult
from stoat_jobs.backends import log_event

from ._problems import ProblemError, ProblemKind, job_not_found


class Operation(StrEnum):
    """What a request wants to do; compares equal to its text, as in ``"cancel"``."""

    LIST = "list"
    SUBMIT = "submit"
    READ = "read"
    WAIT = "wait"
    EVENTS = "events"
    CANCEL = "cancel"
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


Authorize = Callable[[AccessRequest], Awaitable[bool]]

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
    ) -> None:
        """Raise unless *request* may do this."""
        if not await self.allows(request, operation, record):
            raise _closed(operation) if self.is_default else _refused(operation)

    async def check_job(
        self, request: Request, operation: Operation, record: JobResult[Any] | None
    ) -> JobResult[Any]:
        """*record*, with which *request* may do this; None is that of an id that nobody knows.

        An unknown id is admitted to be unknown only when *authorize* was asked, and a 404 of
        *authorize* is that of an unknown id, so that nobody can tell the two apart.
        """
        try:
            await self.check(request, operation, record)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            raise job_not_found() from error
        if record is None:
            raise job_not_found()
        return record

    async def may_read(self, request: Request, record: JobResult[Any]) -> bool:
        """Whether *request* may read *record*, in whichever way *authorize* says no."""
        try:
            return await self.allows(request, Operation.READ, record)
        except HTTPException as error:
            if error.status_code not in _REFUSALS:
                raise
            return False

    async def allows(
        self, request: Request, operation: Operation, record: JobResult[Any] | None
    ) -> bool:
        """Whether *request* may do this."""
        try:
            allowed = await self._authorize(AccessRequest(request, operation, record))
            _check_answer(allowed)
        except (HTTPException, ClientDisconnect):  # it may have read the body
            raise
        except Exception as error:
            log_event(logging.ERROR, "authorize_failed", exc_info=error, operation=str(operation))
            detail = "the server could not find out whether you may do this"
            raise ProblemError(ProblemKind.AUTHORIZATION_FAILED, detail) from error
        return allowed


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


def _check_answer(allowed: object) -> None:
    if not isinstance(allowed, bool):  # a coroutine that nobody awaited is true, too
        raise TypeError(f"authorize must give a bool, not {type(allowed).__name__}")


def _refused(operation: Operation) -> ProblemError:
    return ProblemError(ProblemKind.NOT_ALLOWED, f"you may not do this here: {operation}")


def _closed(operation: Operation) -> ProblemError:
    return ProblemError(
        ProblemKind.OPERATION_CLOSED,
        f"{operation} is closed here: the application opens it with authorize=, which is asked"
        " each time, or for everybody with authorize=allow_all",
    )
