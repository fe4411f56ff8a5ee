"""What a queue does beside its jobs: claim, listen, prune; begun again whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable

from .._events.log import log_event
from .._run.calls import wake
from .reasons import reason_of

IDLE = 3600.0
"""Seconds to wait for a step that has nothing to do until it is woken."""

# Seconds to wait after the second step of a series that failed; twice as many after each further
# one. After the first none: what was in its way is often over, as another one's lock is.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

# Seconds: uvloop counts in milliseconds, and would make none of less than half of one. Whoever
# waits for the rest of a time would turn until it has passed.
_SHORTEST_PAUSE = 0.001

# Seconds for a step that was cancelled.
_GRACE = 0.5


class SideTask:
    """Does a step again and again; a step returns how many seconds to wait until the next one.

    A step that raises is logged once for each series of failures, and done again after a pause,
    which nothing but the close can cut short: who wakes it would otherwise hammer at a server that
    is away. A task that others cancelled is begun again a moment later, unless the loop is closed.
    """

    def __init__(
        self, name: str, step: Callable[[], Awaitable[float]], longest_pause: float = _LONGEST_PAUSE
    ) -> None:
        self.name = name
        self._step = step
        self._longest_pause = longest_pause
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_woken = False
        self._is_closed = False
        self._is_failing = False
        self._pause = 0.0
        self._last_success = 0.0

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._last_success = self._loop.time()
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        # Not in the variables of a job, which it would keep.
        self._task = self._loop.create_task(
            self._main(), name=f"stoat-jobs {self.name}", context=contextvars.Context()
        )
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self._is_closed and not self._loop.is_closed():
            # Not at once: whoever cancels all tasks, as asyncio.run does, may close the loop next.
            self._loop.call_later(_FIRST_PAUSE, self._begin_again, context=contextvars.Context())

    def _begin_again(self) -> None:
        if not self._is_closed:
            log_event(logging.ERROR, "side_task_restarted", task=self.name)
            self._begin()

    @property
    def age(self) -> float:
        """Seconds since a step last ended well; 0.0 while it waits for the next one."""
        is_well = self._waiter is not None and not self._is_failing
        return 0.0 if is_well else self._loop.time() - self._last_success

    def wake(self) -> None:
        """Do the next step now, or as soon as it may be tried again."""
        self._is_woken = True
        if self._waiter is not None and not self._is_failing:
            wake(self._waiter)

    async def _main(self) -> None:
        while not self._is_closed:
            self._is_woken = False
            pause = await self._try_step()
            if not self._is_closed and (self._is_failing or not self._is_woken):
                await self._wait(pause)

    async def _try_step(self) -> float:
        try:
            pause = await self._step()
        except Exception as error:
            if self._is_closed:
                return 0.0
            return self._note_failure(error)
        if self._is_failing:
            log_event(logging.WARNING, "side_task_recovered", task=self.name)
        self._is_failing = False
        self._last_success = self._loop.time()
        return pause

    def _note_failure(self, error: Exception) -> float:
        if self._is_failing:
            self._pause = min(max(2 * self._pause, _FIRST_PAUSE), self._longest_pause)
            return self._pause
        log_event(logging.WARNING, "side_task_failed", task=self.name, error=reason_of(error))
        self._is_failing, self._pause = True, 0.0
        return 0.0

    async def _wait(self, seconds: float) -> None:
        self._waiter = self._loop.create_future()
        if seconds:
            seconds = max(seconds, _SHORTEST_PAUSE)
        alarm = self._loop.call_later(seconds, wake, self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter = None
            alarm.cancel()

    async def close(self, seconds: float = 0.0) -> None:
        """End; a step under way has so many *seconds*, and is then cancelled."""
        self._is_closed = True
        if self._waiter is not None:
            wake(self._waiter)
        if self._task is None or self._task.done():
            return
        try:
            await asyncio.wait([self._task], timeout=seconds)
        finally:
            self._task.cancel()
        await asyncio.wait([self._task], timeout=_GRACE)
