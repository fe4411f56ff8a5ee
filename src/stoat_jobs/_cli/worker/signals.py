"""SIGTERM, and SIGINT once, ask a worker to stop; SIGINT once more ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

LEFT = 128 + signal.SIGINT

_LEFT = b"stoat-jobs worker: left at once; what ran here runs again elsewhere when its lease ends\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context manager that handles both signals.

    Attributes:
        name: of the first signal, as users know it; None until there was one.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._interrupts = 0
        self._is_raising = False
        self._wake: Callable[[], object] | None = None
        self._previous: dict[signal.Signals, Any] = {}

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

    @contextmanager
    def raising(self) -> Iterator[None]:
        """In this block, in which nothing runs yet, the first signal raises KeyboardInterrupt."""
        self._is_raising = True
        try:
            if self.name is not None:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_raising = False

    async def received(self) -> None:
        """Return when there was a signal."""
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(came.set)
        try:
            if self.name is None:
                await came.wait()
        finally:
            self._wake = None

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        self._interrupts += signum == signal.SIGINT
        if self._interrupts > 1:  # whatever blocks: a handler, a thread, the interpreter's exit
            os.write(2, _LEFT)
            os._exit(LEFT)
        self.name = self.name or ("Ctrl-C" if signum == signal.SIGINT else "SIGTERM")
        if self._is_raising:
            raise KeyboardInterrupt
        if self._wake is not None:
            self._wake()
