"""What a handler's threads send to the event loop: progress, and coroutines to run.

- Of several reports the loop sees the latest: a thread that reports each byte cannot flood it.
- Coroutines are cancelled with their job, and none begins after it has finished.
- A SystemExit in a task ends its loop (python/cpython#102572), so the thread gets it instead.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar, cast

from .calls import call_threadsafe, cancel

T = TypeVar("T")

_ONE_AT_A_TIME = threading.Lock()


class Relay:
    """The way from one job's threads to the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[float, str | None], None],
        *,
        closed: bool,
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._closed = closed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reporting = False
        self._latest: tuple[float, str | None] = (0.0, None)

    def report(self, fraction: float, message: str | None) -> None:
        """Send progress to the loop."""
        self._latest = (fraction, message)
        if not self._reporting:  # else the loop has yet to read, and will see this report
            self._reporting = True
            call_threadsafe(self._loop, self._report_latest)

    def _report_latest(self) -> None:
        self._reporting = False  # before reading: a thread may write in between
        self._tell(*self._latest)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run *coro* on the loop and wait for its value, in a thread.

        Raises:
            CancelledError: the job was told to stop meanwhile, or has ended.
            RuntimeError: the loop has been closed.
        """
        step = self._run(coro)
        try:
            future = asyncio.run_coroutine_threadsafe(step, self._loop)
        except RuntimeError:
            step.close()  # the loop is closed and never ran it
            coro.close()
            raise
        try:
            value, leaving = future.result()
        except concurrent.futures.CancelledError:
            # Another class, and an Exception: the job would be retried instead of cancelled.
            raise asyncio.CancelledError("what from_thread() ran was cancelled") from None
        if leaving is not None:
            raise leaving
        return cast("T", value)

    async def _run(self, coro: Coroutine[Any, Any, T]) -> tuple[T | None, SystemExit | None]:
        """The value of *coro*, or the SystemExit that it raised."""
        if self._closed:
            coro.close()
            raise asyncio.CancelledError("the job has finished")
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            return await coro, None
        except SystemExit as error:
            return None, error
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Cancel the coroutines of the job's threads."""
        for task in tuple(self._tasks):
            cancel(task)

    def close(self) -> None:
        """The job has finished."""
        self._closed = True
        self._tell = _tell_nobody  # it refers to the run, which refers to this
        self.cancel()


def _tell_nobody(fraction: float, message: str | None) -> None:
    """The job has finished."""


class HasThreads(Protocol):
    """A run of a job, as its threads need it."""

    relay: Relay | None

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def is_finished(self) -> bool: ...

    def progressed(self, fraction: float, message: str | None) -> None: ...


def relay_of(run: HasThreads) -> Relay:
    """The relay of *run*, made when the first of its threads needs one."""
    with _ONE_AT_A_TIME:
        if run.relay is None:
            run.relay = Relay(run.loop, run.progressed, closed=run.is_finished)
        return run.relay
