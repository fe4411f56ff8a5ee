"""The time between two attempts at a job."""

from __future__ import annotations

import asyncio
import contextvars
import random

from .calls import wake

_LONGEST = 60.0


def backoff(attempt: int) -> float:
    """Seconds before the *attempt*-th further attempt; random, so that jobs spread out."""
    return random.uniform(0.0, min(_LONGEST, 2.0 ** min(attempt - 1, 10)))  # noqa: S311


class Pause:
    """A time to wait that can be cut short."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._over: asyncio.Future[None] = loop.create_future()

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until :meth:`end`."""
        # An empty context: a timer would keep the job's alive.
        empty = contextvars.Context()
        timer = self._loop.call_later(seconds, wake, self._over, context=empty)
        try:
            await self._over
        finally:
            timer.cancel()

    def end(self) -> None:
        """Wait no longer."""
        wake(self._over)
