"""What handlers raise: every kind of exception but the user's own Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class OwnBaseError(BaseException):
    """Neither an Exception nor one of Python's own."""


class UnprintableError(Exception):
    """Raises when it is printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


RAISED: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("chaos"),
    "SystemExit": lambda: SystemExit(3),
    "GeneratorExit": GeneratorExit,
    "OwnBaseError": OwnBaseError,
    "CancelledError": asyncio.CancelledError,
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": StopAsyncIteration,
    "TimeoutError": TimeoutError,
    "UnprintableError": UnprintableError,
    "ExceptionGroup": lambda: ExceptionGroup("g", [ValueError("a"), UnprintableError()]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("g", [SystemExit(1)]),
}
