"""The timer for the next delayed job: one for each queue, however many are delayed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

from .._run.calls import call_later
from .._run.clock import Clock


class DueAlarm:
    """Calls *ring* with the time at which it should, an age of *clock*."""

    def __init__(self, clock: Clock, ring: Callable[[float], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._set: tuple[float, asyncio.TimerHandle] | None = None

    def set(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Ring at *due*, or before if it is set already; never at ``inf``."""
        if self._set is not None and self._set[0] <= due:
            return  # it is set again when it has rung
        self.cancel()
        if due < math.inf:
            seconds = max(0.0, due - self._clock.age())
            timer = call_later(loop, seconds, partial(self._on_timer, due))
            self._set = None if timer is None else (due, timer)

    def cancel(self) -> None:
        """Do not ring."""
        if self._set is not None:
            self._set[1].cancel()
            self._set = None

    def _on_timer(self, due: float) -> None:
        self._set = None
        self._ring(max(due, self._clock.age()))  # a timer may be a little early
