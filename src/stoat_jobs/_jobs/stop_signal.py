"""What wakes those who wait until a job is told to stop.

They may wait on any event loop, also on one of a thread's own. Who waits registers first and then
looks whether the signal has come, and who gives it sets it first: so nobody misses it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


class StopSignal:
    """Whether a job was told to stop: None as long as it may yet be, False if it never will."""

    __slots__ = ("_waiters", "told")

    def __init__(self, told: bool | None = None) -> None:
        self.told = told
        self._waiters: dict[asyncio.Future[None], None] = {}

    async def wait(self) -> None:
        """Return once the job was told to stop.

        Raises:
            CancelledError: it has finished without that.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            if self.told is None:
                await waiter
        finally:
            self._waiters.pop(waiter, None)
        if not self.told:
            raise asyncio.CancelledError("the job has finished")

    def give(self, told: bool) -> None:
        """The job was told to stop, or has finished; what came first counts. Safe in any thread."""
        if self.told is None:
            self.told = told
        for waiter in self._waiters.copy():
            with suppress(RuntimeError):  # its loop is closed
                _wake(waiter)


def is_running_here(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether this code runs on *loop*, or on any event loop if that is None."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return False
    return loop is None or running is loop


def _wake(waiter: asyncio.Future[None]) -> None:
    loop = waiter.get_loop()
    if is_running_here(loop):
        _resolve(waiter)
    else:
        loop.call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
