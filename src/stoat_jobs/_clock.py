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
        self.now = _reader(loop)
        self._offset = max(time.time(), last) - self.now()

    def stamp(self) -> float:
        """Now, in seconds since the epoch."""
        return self._offset + self.now()


def _reader(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """What reads the time of *loop*.

    A loop that is not built on asyncio's own (uvloop) tells the time its round began: a
    handler that blocks the loop over its limit would seem to have taken none. Such a loop
    runs on the monotonic clock, so that is read itself.
    """
    if isinstance(loop, asyncio.BaseEventLoop) or abs(loop.time() - time.monotonic()) > 1.0:
        return loop.time
    return time.monotonic


def as_datetime(stamp: float | None) -> datetime | None:
    """A stamp as an aware UTC time."""
    return None if stamp is None else datetime.fromtimestamp(stamp, timezone.utc)
