"""Event loops of other makes than asyncio's own, with the kit's fake clock."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from stoat_jobs.testing import DeadlockError, FakeClockLoop, _clock, _selector
from stoat_jobs.testing._clock import FakeClock
from stoat_jobs.testing._others import BRIEF_LOOK, REAL_LIMIT
from stoat_jobs.testing._selector import LONGEST

if TYPE_CHECKING or find_spec("uvloop"):
    from uvloop import Loop
else:
    from asyncio import SelectorEventLoop as Loop

ON_UVLOOP = pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not here")


def shorten(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clocks give up after so many real seconds."""
    for module in (_clock, _selector, sys.modules[__name__]):
        monkeypatch.setattr(module, "REAL_LIMIT", seconds)


class BareHandle:
    """What a handle has to have, and nothing else."""

    def __init__(self, handle: asyncio.Handle) -> None:
        self.cancel = handle.cancel
        self.cancelled = handle.cancelled


class BareLoop(FakeClockLoop):
    """Gives as little as a loop may: bare handles, and timers of whole milliseconds, as uvloop."""

    def call_soon(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        return BareHandle(super().call_soon(*args, **options))

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        return BareHandle(super().call_soon_threadsafe(*args, **options))

    def call_at(self, when: float, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        rounded = rounded_as_by_uvloop(self.time(), when)
        if rounded <= self.time():
            return self.call_soon(*args, **options)
        return BareHandle(super().call_at(rounded, *args, **options))

    def call_later(self, delay: float, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        return self.call_at(self.time() + delay, *args, **options)


def rounded_as_by_uvloop(now: float, when: float) -> float:
    """When a timer fires that is due at *when*: it may be half a millisecond early."""
    return now + round(max(when - now, 0.0) * 1000) / 1000


class _Timer:
    """A callback that waits for the fake clock, and then for its turn."""

    def __init__(self, call: Callable[[], asyncio.Handle]) -> None:
        self._call = call
        self._handle: asyncio.Handle | None = None
        self._cancelled = False

    def fire(self) -> None:
        """Its time has come."""
        if not self._cancelled:
            self._handle = self._call()

    def cancel(self) -> None:
        self._cancelled = True
        if self._handle is not None:
            self._handle.cancel()

    def cancelled(self) -> bool:
        return self._cancelled


class UvloopWithFakeClock(FakeClock, Loop):  # type: ignore[misc]
    """uvloop runs all callbacks, tasks and words from threads; the kit's clock its timers.

    It is idle when every callback that it was given has run.
    """

    def __init__(self) -> None:
        FakeClock.__init__(self)
        Loop.__init__(self)
        self._numbers = itertools.count()
        self._ready: dict[int, asyncio.Handle | None] = {}
        self._reason: str | None = None
        self._stops = False
        self._alarm: asyncio.Handle | None = None
        self._connecting = 0
        self._transports: list[asyncio.BaseTransport] = []
        self._busy_since: float | None = None
        self._others_since: float | None = None
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    # Callbacks, counted.

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return self._counted(super().call_soon, callback, args, context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return self._counted(super().call_soon_threadsafe, callback, args, context)

    def _counted(self, call: Any, callback: Any, args: Any, context: Any) -> asyncio.Handle:
        number = next(self._numbers)
        self._ready[number] = None
        try:
            handle: asyncio.Handle = call(self._run, number, callback, args, context=context)
        except BaseException:
            del self._ready[number]
            raise
        if number in self._ready:  # else it has run already, in the loop's own thread
            self._ready[number] = handle
        return handle

    def _run(self, number: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        del self._ready[number]
        self._busy_since = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        try:
            callback(*args)
        finally:
            self._look()

    # Idleness.

    def _look(self) -> None:
        for number, handle in tuple(self._ready.items()):
            if handle is not None and handle.cancelled():
                self._ready.pop(number, None)
        work = self._under_way()  # before the next line: who has done it has spoken before
        if work is None:
            self._others_since = None
        if self._ready or self._stops:
            return
        if work is not None:
            self._look_again(work)
        elif silence := self._silence():
            self._alarm = super().call_later(silence, self._be_idle)
        elif self._transports:  # uvloop's own callbacks, as of one that closes, are not counted
            self._alarm = super().call_soon(self._be_idle)
        else:
            self._be_idle()

    def _look_again(self, work: str) -> None:
        now = time.monotonic()
        self._busy_since = self._busy_since or now
        self._others_since = self._others_since or now
        limit = min(self._busy_since + REAL_LIMIT, self._others_since + LONGEST * REAL_LIMIT)
        if now > limit:
            self._give_up(f"{work} after {REAL_LIMIT} real seconds. {self._places()}")
        else:
            self._alarm = super().call_later(BRIEF_LOOK, self._look)

    def _be_idle(self) -> None:
        if not self._wake_settlers():
            self._wait()

    def _wait(self) -> None:
        refusal = self._deadlock()
        if self._ready:  # a thread has spoken meanwhile, before it became idle
            return
        if refusal is None:
            limit = f"nothing came of threads and connections for {REAL_LIMIT} real seconds."
            seconds = max(0.0, self._real_deadline() - time.monotonic())
            self._alarm = super().call_later(
                seconds, lambda: self._give_up(f"{limit} {self._places()}")
            )
        else:
            self._give_up(refusal)

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        self.stop()

    def stop(self) -> None:
        self._stops = True
        super().stop()

    def run_until_complete(self, future: Any) -> Any:
        self._stops, self._reason = False, None
        try:
            return super().run_until_complete(future)
        except RuntimeError as error:
            if self._reason is None:
                raise
            raise DeadlockError(self._reason) from error
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    # Connections.

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        return await self._noted(super().create_connection(*args, **options))

    async def create_unix_connection(self, *args: Any, **options: Any) -> Any:
        return await self._noted(super().create_unix_connection(*args, **options))

    async def _noted(self, connecting: Awaitable[Any]) -> Any:
        self._connecting += 1
        try:
            transport, protocol = await connecting
        finally:
            self._connecting -= 1
        self._transports.append(transport)
        return transport, protocol

    def _hears_files(self) -> bool:
        open_ones = (each for each in self._transports if not each.is_closing())
        return self._connecting > 0 or any(open_ones)

    # Timers.

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        due = rounded_as_by_uvloop(self.time(), when)
        if due <= self.time():
            return self.call_soon(callback, *args, context=context)
        context = contextvars.copy_context() if context is None else context
        timer = _Timer(partial(self.call_soon, callback, *args, context=context))
        self._note_timer(due, timer)
        return timer

    def _move(self, now: float) -> None:
        super()._move(now)
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].fire()
