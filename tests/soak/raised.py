"""What handlers raise: every kind of exception but the user's own Ctrl-C."""

from __future__ import annotations

import asyncio
import builtins
import sys
from collections.abc import Callable
from typing import Any


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
}
if sys.version_info >= (3, 11):
    GROUPS: Any = builtins  # as Python 3.10 sees them, these names are not there
    RAISED["ExceptionGroup"] = lambda: GROUPS.ExceptionGroup(
        "g", [ValueError("a"), UnprintableError()]
    )
    RAISED["BaseExceptionGroup"] = lambda: GROUPS.BaseExceptionGroup("g", [SystemExit(1)])
