"""Retries: whether there is another attempt, when, and the wait for it.

Any ``Exception`` is retried while there are retries left, and if the delay before the next attempt
ends before the job's deadline. Nothing is retried once the job was told to stop, or its queue to.
"""

from __future__ import annotations

import asyncio
import contextvars
import random

from .calls import wake

_LONGEST = 60.0


def delay_before_retry(
    error: BaseException, retry: int, retries: int, seconds_left: float, *, delays: bool
) -> float | None:
    """Seconds before retry number *retry*, from 1, after *error*; None if there is none.

    *seconds_left* is the time to the job's deadline. Without *delays* a retry comes at once.
    """
    # Not isinstance(), which asks the error for its __class__.
    if retry > retries or not issubclass(type(error), Exception):
        return None
    delay = _backoff(retry) if delays else 0.0
    return delay if delay < seconds_left else None


def _backoff(retry: int) -> float:
    """Exponential, with full jitter, so that jobs that failed together do not retry together."""
    return random.uniform(0.0, min(_LONGEST, 2.0 ** min(retry - 1, 10)))  # noqa: S311


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
