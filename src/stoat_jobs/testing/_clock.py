"""An event loop whose clock stands still until a test moves it.

- Only :meth:`FakeClockLoop.advance`, ``drive`` and ``jump`` change ``time()``.
- The loop is idle when it would have to wait for a timer, a file or a thread. Then ``settle``
  returns, so a test never has to guess how often to yield.
- A thread that does short work for a backend, as the one that writes to its store, tells by an
  attribute ``brief`` that is True. The loop is not idle while such a thread works, and hears
  what it said before it became idle.
- A queue that talks to a server tells by an attribute ``awaits_server`` whether an answer is
  under way. The loop is not idle before it has come. Where no queue tells it, only silence can:
  of all open connections, for a moment.
- If the loop is idle, nothing awaits ``settle`` and nothing can ever wake the loop, it is a
  deadlock. A loop that is never idle is one too. Both are an error at once, instead of a test
  that hangs. But a thread that was started after the loop was created, or an open connection,
  may still wake the loop: then it really waits. A thread that a backend uses again tells by an
  attribute ``idle`` that it waits for its next call. Such a thread counts while it is not idle.
- So ``idle`` becomes False in whoever hands a call over, before the thread wakes up; and True
  in the thread, after it has told the loop how the call ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import heapq
import itertools
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar, TypeVarTuple, cast

from ._others import QUIET, REAL_LIMIT, is_idle, is_reused, thread_at_brief_work
from ._selector import LONGEST, DeadlockError, Selector

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_MANY_TIMERS = 100
_START = 1000.0
# Beyond it the loop cannot tell which timers are due, because of rounding.
_END = 5_000_000.0
_ROUNDING = 1e-9
# Of a loop's end: a task that is cancelled may start another, which has to begin at least.
_MOST_ROUNDS = 100


class FakeClock:
    """The methods of an event loop whose clock stands still."""

    create_future: Callable[[], asyncio.Future[Any]]

    def __init__(self) -> None:
        self._now = _START
        self._settlers: list[asyncio.Future[None]] = []
        self._threads_before = {each for each in threading.enumerate() if not is_reused(each)}
        self._timers: list[tuple[float, int, Any]] = []
        self._timer_numbers = itertools.count()
        self._many_timers = _MANY_TIMERS
        self._queues: list[Any] = []
        self._waits_since: float | None = None
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        """The fake time, in seconds."""
        return self._now

    def _note_timer(self, when: float, handle: Any) -> None:
        """Record that *handle*, which is like :class:`asyncio.Handle`, is due at *when*."""
        if len(self._timers) > self._many_timers:  # most of them may be cancelled
            self._timers = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._many_timers = max(_MANY_TIMERS, 2 * len(self._timers))
        heapq.heappush(self._timers, (when, next(self._timer_numbers), handle))

    async def settle(self) -> None:
        """Return once nothing is ready to run; time stands still.

        It waits for threads that do short work for a backend, and for the answers of servers,
        but not for threads of handlers: first await what such a thread produces.
        """
        settled = self.create_future()
        self._settlers.append(settled)
        await settled

    async def advance(self, seconds: float) -> None:
        """Advance time by *seconds*, from timer to timer, and ``settle`` at each.

        Raises:
            ValueError: *seconds* is negative, or the time would pass 5,000,000 seconds.
            DeadlockError: there are so many timers that it takes more than 20 real seconds.
        """
        target = self._target(seconds)
        limit = time.monotonic() + REAL_LIMIT
        await self.settle()
        while (when := self.next_timer()) <= target + _ROUNDING:
            if time.monotonic() > limit:
                raise DeadlockError(f"too many timers for {REAL_LIMIT} real seconds; use jump()?")
            self._move(when)
            await self.settle()
        self._move(max(self._now, target))
        await self.settle()

    async def drive(self, awaitable: Awaitable[T]) -> T:
        """Advance time until *awaitable* is done, and return its value.

        Do not use it if *awaitable* depends on a running thread: time would advance without it.

        Raises:
            DeadlockError: it is not done after 20 real seconds.
        """
        task = asyncio.ensure_future(awaitable)
        limit = time.monotonic() + REAL_LIMIT
        await self.settle()
        while not task.done() and (when := self.next_timer()) <= _END:
            if time.monotonic() > limit:
                raise DeadlockError(f"not done after {REAL_LIMIT} real seconds: {_place(task)}")
            self._move(when)
            await self.settle()
        return await task

    def jump(self, seconds: float) -> None:
        """Advance time without running anything, as code that blocks the loop does."""
        self._move(self._target(seconds))

    def _move(self, now: float) -> None:
        self._now = now

    def _target(self, seconds: float) -> float:
        target = self._now + seconds
        if not self._now <= target <= _END:
            raise ValueError(
                f"time only moves forward, and at most to {_END:,.0f} s, not by {seconds}"
            )
        return target

    def next_timer(self) -> float:
        """When the next timer is due; ``inf`` if there is none."""
        while self._timers and (self._timers[0][2].cancelled() or self._timers[0][0] <= self._now):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else math.inf

    def heed(self, queue: object) -> None:
        """Heed what *queue* tells of its server, if it does."""
        if hasattr(queue, "awaits_server"):
            self._queues.append(queue)

    def _under_way(self) -> str | None:
        """What others do for this loop at the moment."""
        if thread := thread_at_brief_work():
            return f"thread {thread.name} is still not idle"
        if queue := next((each for each in self._queues if each.awaits_server), None):
            return f"{type(queue).__name__} still waits for its server"
        return None

    def _silence(self) -> float:
        """Real seconds for which the connections have to be silent before the loop is idle."""
        return QUIET if self._settlers and self._hears_files() and not self._queues else 0.0

    def _real_deadline(self) -> float:
        """Until when the loop waits for what others do, now that it has nothing to run."""
        now = time.monotonic()
        if self._waits_since is None:  # since the last ``settle``
            self._waits_since = now
        return min(now + REAL_LIMIT, self._waits_since + LONGEST * REAL_LIMIT)

    def _wake_settlers(self) -> bool:
        settlers, self._settlers = self._settlers, []
        waiting = [settler for settler in settlers if not settler.done()]
        for settler in waiting:
            settler.set_result(None)
            self._waits_since = None
        return bool(waiting)

    def _deadlock(self) -> str | None:
        """Why waiting would never end; None if something may still wake the loop."""
        threads = {each for each in threading.enumerate() if not is_idle(each)}
        if threads - self._threads_before or self._hears_files():
            return None
        return f"nothing is ready and time stands still; call advance()? {self._places()}"

    def _places(self) -> str:
        loop = cast(asyncio.AbstractEventLoop, self)
        return f"Waiting at {'; '.join(sorted(map(_place, asyncio.all_tasks(loop))))}"

    def _hears_files(self) -> bool:
        """Whether a connection is open, which may wake the loop."""
        return False


class FakeClockLoop(FakeClock, asyncio.SelectorEventLoop):
    """An event loop for tests: deadlines, delays and retention without waiting for them.

    It needs no arguments, so it can be a ``loop_factory``. Await its helpers in a coroutine
    that it runs:

    >>> import asyncio
    >>> async def main() -> str:
    ...     loop = asyncio.get_running_loop()
    ...     sleeper = asyncio.create_task(asyncio.sleep(300, "slept"))
    ...     await loop.advance(299)
    ...     assert not sleeper.done()
    ...     await loop.advance(1)
    ...     return sleeper.result()
    >>> run_with_fake_clock(main())
    'slept'

    Attributes:
        errors: the contexts that the loop's exception handler got, for uncaught errors.
    """

    def __init__(self) -> None:
        FakeClock.__init__(self)
        selector = Selector()
        selector.on_idle = self._wake_settlers
        selector.may_wait = self._deadlock
        selector.under_way = self._under_way
        selector.silence = self._silence
        selector.deadline = self._real_deadline
        selector.places = self._places
        asyncio.SelectorEventLoop.__init__(self, selector)
        self._files = selector.get_map()
        self._own_files = len(self._files)
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._note_timer(when, handle)
        return handle

    def _hears_files(self) -> bool:
        return len(self._files) > self._own_files


def _place(task: asyncio.Task[Any]) -> str:
    frame = next(iter(task.get_stack(limit=1)), None)
    where = f"{frame.f_code.co_name}, line {frame.f_lineno}" if frame else "its start"
    return f"{where} ({task.get_name()})"


# FakeClockLoop, or another loop with its methods.
LoopFactory = Callable[[], Any]


def run_with_fake_clock(
    main: Coroutine[Any, Any, T], loop_factory: LoopFactory = FakeClockLoop
) -> T:
    """Run *main* in a new :class:`FakeClockLoop`, like :func:`asyncio.run`.

    Raises:
        DeadlockError: *main* waits for something that can never happen.
        AssertionError: a task or callback ended with an uncaught error.
    """
    with fake_clock_loop(loop_factory) as loop:
        value = loop.run_until_complete(main)
    gc.collect(1)  # a task that was never awaited reports its error when it is collected
    if loop.errors:
        raise AssertionError(f"uncaught errors: {loop.errors}")
    return value


@contextlib.contextmanager
def fake_clock_loop(loop_factory: LoopFactory = FakeClockLoop) -> Iterator[FakeClockLoop]:
    """A loop for tests that run it more than once; it is closed at the end, whatever happens."""
    loop = loop_factory()
    try:
        yield loop
    finally:
        wind_down(loop)


def wind_down(loop: FakeClockLoop) -> None:
    """Cancel what is left on *loop*, and what that starts at its end, and close it."""
    for _ in range(_MOST_ROUNDS):
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(DeadlockError):
            loop.run_until_complete(_wind_down(tasks))
        if not asyncio.all_tasks(loop) - tasks:
            break
    loop.close()


async def _wind_down(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
