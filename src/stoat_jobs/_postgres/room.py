"""How many more jobs may wait: counted once a second in each process, and where it matters.

- All who need a count at one moment share one, and its failure. So in an outage they fail
  together, and not one after the other.
- Nobody is refused by a count that began before it was asked for: it may not know of a job that
  has been cancelled since.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from .._model.errors import QueueClosedError, QueueFullError

# Seconds that a count is good for.
_GOOD = 1.0


class Room:
    """The room of one queue, for one life."""

    def __init__(self, most: int, count: Callable[[], Awaitable[int]]) -> None:
        """*count* returns how many jobs wait; *most* may."""
        self._most = most
        self._count = count
        self._left = 0
        self._good_until = 0.0
        self._counting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def take(self, number: int) -> None:
        """Make sure that *number* more jobs may wait.

        Raises:
            QueueFullError: there is no room for all of them.
            QueueClosedError: the queue has closed meanwhile.
        """
        if not self._has(number):
            was_under_way = self._counting is not None
            await self._count_together()
            if was_under_way and not self._has(number):
                await self._count_together()
        if self._is_closed:
            raise QueueClosedError
        if self._left < number:
            raise QueueFullError(self._most)
        self._left -= number

    def _has(self, number: int) -> bool:
        now = asyncio.get_running_loop().time()
        return self._left >= number and now < self._good_until

    async def _count_together(self) -> None:
        counting = self._counting
        if counting is None:
            loop = asyncio.get_running_loop()
            counting = loop.create_task(self._count_anew(), context=contextvars.Context())
            counting.add_done_callback(self._counted)
            self._counting = counting
        await asyncio.wait([counting])  # which goes on if one of those who wait is cancelled
        if counting.cancelled():
            raise QueueClosedError
        counting.result()

    async def _count_anew(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left, self._good_until = self._most - await self._count(), now + _GOOD

    def _counted(self, counting: asyncio.Task[None]) -> None:
        self._counting = None
        if not counting.cancelled():
            counting.exception()  # or it would be logged if nobody waits any more

    def close(self) -> None:
        """Refuse everything from now on, a count under way included."""
        self._is_closed = True
        if self._counting is not None:
            self._counting.cancel()
