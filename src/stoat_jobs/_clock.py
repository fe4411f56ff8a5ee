"""A queue's time: the running loop's for durations, the wall's for records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone


class Clock:
    """Seconds since the epoch that never go back: the wall at the start, then the loop's time.

    Ages and durations are differences of these stamps, so that a loop with a fake clock
    drives them, and a wall clock that steps back does not.
    """

    __slots__ = ("_offset", "now")

    def __init__(self) -> None:
        self.now: Callable[[], float] = time.monotonic
        self._offset = time.time() - time.monotonic()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on with the time of *loop*."""
        last = self.stamp()
        self.now = _time_of(loop)
        self._offset = max(time.time(), last) - self.now()

    def stamp(self) -> float:
        """Now, in seconds since the epoch."""
        return self._offset + self.now()


def _time_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """``loop.time``, without the call in between where it is the standard one."""
    plain = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if plain else loop.time


_UTC, _from_timestamp = timezone.utc, datetime.fromtimestamp


def as_datetime(stamp: float | None) -> datetime | None:
    """A stamp as an aware UTC time."""
    return None if stamp is None else _from_timestamp(stamp, _UTC)
