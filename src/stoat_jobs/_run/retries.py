"""Retries: how long to wait before the next attempt, and the waiting."""

from __future__ import annotations

import asyncio
import contextvars
import random

from .calls import wake

_LONGEST = 60.0


def backoff(attempt: int) -> float:
    """Seconds before retry number *attempt*, from 1: exponential, with full jitter."""
    return random.uniform(0.0, min(_LONGEST, 2.0 ** min(attempt - 1, 10)))  # noqa: S311


def is_retried(error: BaseException) -> bool:
    """Whether *error* may be followed by another attempt: any ``Exception``, but no others."""
    # Not isinstance(), which asks the error for its __class__.
    return issubclass(type(error), Exception)


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
