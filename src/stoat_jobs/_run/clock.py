"""A queue's time: the running loop's for durations, the wall's for records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

# Seconds that the wall clock may be ahead before stamps follow it.
_TOLERANCE = 1.0

# A shift is a multiple of this part of a second: adding it to a stamp and taking it away again
# gives the same stamp.
_STEPS = 1024


class Clock:
    """Time stamps of records, in seconds since the epoch, and the age of what is kept.

    Stamps are the wall clock at the start plus the loop's time since. They never go back. If the
    wall clock is set forwards (NTP, a resume from suspend), they follow it. Ages do not: they
    follow only the loop's time, so a loop with a fake clock drives them.

    Attributes:
        now: the loop's time; durations are differences of it.
        base: what :meth:`age` is ahead of the loop's time.
        shift: seconds by which stamps have followed the wall clock: ``stamp() - age()``.
    """

    __slots__ = ("_difference", "_offset", "base", "now", "shift")

    def __init__(self) -> None:
        self.now: Callable[[], float] = time.monotonic
        self.shift: float = 0.0
        self._offset = self._difference = time.time() - time.monotonic()
        self.base: float = self._offset

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on with the time of *loop*."""
        last = self.stamp()
        self.now = _time_of(loop)
        self._offset = max(time.time(), last) - self.now()
        self.base = self._offset - self.shift
        self._difference = time.time() - time.monotonic()

    def stamp(self) -> float:
        """Now, in seconds since the epoch."""
        now = self.now  # before Python 3.12 to call an attribute at once is slower
        stamp = self._offset + now()
        if time.time() - stamp > _TOLERANCE:
            stamp += self._follow(time.time() - stamp)
        return stamp

    def age(self) -> float:
        """Now, as a stamp that does not follow the wall clock."""
        return self.base + self.now()

    def _follow(self, ahead: float) -> float:
        """Seconds by which stamps go forwards from here.

        Only a step of the wall clock is followed, not a loop's clock that is fake or late.
        """
        difference = time.time() - time.monotonic()
        step = min(ahead, difference - self._difference)
        if step <= _TOLERANCE:
            return 0.0
        self._difference = difference
        step = int(step * _STEPS) / _STEPS
        self.shift += step
        self._offset += step
        return step


def _time_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """``loop.time``, or directly the clock behind it, if that is the standard one."""
    plain = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if plain else loop.time


from_timestamp = datetime.fromtimestamp


def as_datetime(stamp: float | None) -> datetime | None:
    """A stamp as an aware UTC time."""
    return None if stamp is None else from_timestamp(stamp, UTC)
