"""Retries: whether there is another attempt, when, and the wait for it.

An ``Exception`` for which the job type's ``retry_on`` is retried while there are retries left, and
if the delay before the next attempt ends before the job's deadline. Nothing is retried once the
job was told to stop, or its queue to. A group of exceptions counts as what it is: a group.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

from .._events.log import log_retry_on_failed
from .._jobs.job_types import JobType
from .._model.settings import check_finite
from .._payload.results import discard
from .calls import wake
from .host import RunnableJob


def delay_before_retry(
    job: RunnableJob,
    error: BaseException,
    retry: int,
    definition: JobType[..., Any],
    *,
    delays: bool,
) -> float | None:
    """Seconds before retry number *retry*, from 1, after *error*; None if there is none.

    Without *delays* a retry comes at once. There is none if ``retry_on`` raises, which is logged.
    """
    # Not isinstance(), which asks the error for its __class__.
    if retry > definition.retries or not issubclass(type(error), Exception):
        return None
    try:
        wanted = _wanted(definition.retry_on, error)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:
        log_retry_on_failed(job.job_id, job.job_type, failure)
        return None
    if wanted is False:
        return None
    if not delays:
        return 0.0
    return definition.backoff.delay(retry) if wanted is True else wanted


def _wanted(retry_on: Any, error: BaseException) -> bool | float:
    """Whether *error* is retried, or after how many seconds.

    Raises whatever ``retry_on`` raises, and an error if that is a function that returns neither a
    bool nor a number of seconds.
    """
    if type(retry_on) is tuple:
        return issubclass(type(error), retry_on)
    answer = retry_on(error)
    if type(answer) is bool:
        return answer
    if not issubclass(type(answer), (int, float)):
        discard(answer)  # else a coroutine would be "never awaited"
        kind = type(answer).__name__
        raise TypeError(f"retry_on must return a bool or a number of seconds, not {kind}")
    return check_finite(answer, "what retry_on returns")


class Pause:
    """A wait that can be cut short."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._over: asyncio.Future[None] = loop.create_future()

    async def wait(self, seconds: float) -> None:
        """Wait for *seconds*, or until :meth:`end`."""
        if seconds <= 0:
            return
        # No context variables: a timer would keep the job's alive.
        empty = contextvars.Context()
        timer = self._loop.call_later(seconds, wake, self._over, context=empty)
        try:
            await self._over
        finally:
            timer.cancel()

    def end(self) -> None:
        """End the wait now."""
        wake(self._over)
