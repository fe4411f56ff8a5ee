"""The time that a handler has to stop after it was told to."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from .calls import call_later


class GraceTimer:
    """Calls back when a grace period is over; never, where the loop is closed."""

    __slots__ = ("_handle", "_loop", "_when_over")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, when_over: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._when_over = when_over
        self._handle: asyncio.Handle | None = call_later(loop, seconds, self._last_round)

    def _last_round(self) -> None:
        # uvloop runs what is due before what was ready: the handler may not have heard yet.
        self._handle = self._loop.call_soon(self._when_over, context=contextvars.Context())

    def cancel(self) -> None:
        """Call nobody back."""
        if self._handle is not None:
            self._handle.cancel()
