"""Handles Ctrl-C and SIGTERM while a command runs.

- The first signal is recorded, and cancels what is awaited by `cancelling()`, so that the command
  can exit in good order.
- Inside `raising()` the first signal raises instead, because printing may block for as long as
  the reader of the output likes.
- The second signal always raises.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import Self

R = TypeVar("R")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context manager that handles both signals; when it raises, it is ``KeyboardInterrupt``.

    Attributes:
        signum: the first signal received, None until then.
        repeated: whether there was a second signal; then nothing should be waited for.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.repeated = False
        self._raising = False
        self._ignored = False
        self._wake: Callable[[], object] | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def name(self) -> str:
        """The name of the first signal, as users know it."""
        return "SIGTERM" if self.signum == signal.SIGTERM else "Ctrl-C"

    @property
    def exit_code(self) -> int:
        """The exit code of a process that the signal has ended, by the shell's rule: 130 or 143."""
        return 128 + (self.signum or signal.SIGINT)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """In this block a signal raises at once; one received earlier raises at the beginning."""
        self._raising = True
        try:
            if self.signum is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._raising = False

    def ignore(self) -> None:
        """From here on a signal does nothing: what is left to do is short, and must be done."""
        self._ignored = True

    async def cancelling(self, work: Coroutine[Any, Any, R]) -> R | None:
        """Await *work*; at the first signal cancel it and return None."""
        task = asyncio.create_task(work)
        signalled = asyncio.create_task(self._received())
        try:
            await asyncio.wait([task, signalled], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wake = None
            await _cancelled(signalled)
            await _cancelled(task)
        if task.cancelled() or (self.signum is not None and task.exception()):
            return None
        return task.result()

    async def _received(self) -> None:
        loop = asyncio.get_running_loop()
        received = asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(received.set)
        if self.signum is None:
            await received.wait()

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self._ignored:
            return
        self.repeated = self.signum is not None
        if self.signum is None:
            self.signum = signum
        if self._raising or self.repeated:
            raise KeyboardInterrupt
        if self._wake is not None:
            self._wake()

    def __enter__(self) -> Self:
        self._previous = {each: signal.signal(each, self._receive) for each in _SIGNALS}
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # marks it as retrieved; asyncio raises a KeyboardInterrupt by itself
