"""Who may do what: closed unless the application says otherwise."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from stoat_jobs import JobResult
from stoat_jobs.backends import log_event

from ._problems import ProblemError


class Operation(str, Enum):
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

    # Formats as the bare text on every Python version, as StrEnum (3.11) does.
    __str__ = str.__str__


Authorize = Callable[[Request, Operation, "JobResult[Any] | None"], Awaitable[bool]]

# What whoever knows the random id of a job may do where nobody is asked.
_OPEN = frozenset({Operation.READ, Operation.WAIT, Operation.EVENTS})


async def allow_all(request: Request, operation: Operation, record: JobResult[Any] | None) -> bool:
    """An ``authorize`` that lets everybody do everything.

    Take it where something in front of the application lets nobody else through, and in tests.
    """
    return True


async def _for_who_knows_the_id(
    request: Request, operation: Operation, record: JobResult[Any] | None
) -> bool:
    """What holds without an ``authorize``."""
    return operation in _OPEN


class Access:
    """Asks ``authorize``."""

    def __init__(self, authorize: Authorize | None) -> None:
        self._authorize = authorize or _for_who_knows_the_id

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

    async def allows(
        self, request: Request, operation: Operation, record: JobResult[Any] | None
    ) -> bool:
        """Whether *request* may do this."""
        try:
            allowed = await self._authorize(request, operation, record)
            _check_answer(allowed)
        except HTTPException:
            raise
        except Exception as error:
            log_event(logging.ERROR, "authorize_failed", exc_info=error, operation=str(operation))
            detail = "the server could not find out whether you may do this"
            raise ProblemError(500, "Authorization failed", detail) from error
        return allowed


def _check_answer(allowed: object) -> None:
    if not isinstance(allowed, bool):  # a coroutine that nobody awaited is true, too
        raise TypeError(f"authorize must give a bool, not {type(allowed).__name__}")


def _refused(operation: Operation) -> ProblemError:
    return ProblemError(403, "Not allowed", f"you may not do this here: {operation}")


def _closed(operation: Operation) -> ProblemError:
    return ProblemError(
        403,
        "Operation closed",
        f"{operation} is closed here: the application opens it with authorize=, which is asked"
        " each time, or for everybody with authorize=allow_all",
    )
