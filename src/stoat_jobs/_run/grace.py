"""The time that a handler has to stop after it was told to, and what happens when it is over.

A run has one grace period, or two if its handler is cooperative: in the first it only has the
flag, and when that is over it is cancelled. After the last one it is abandoned.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Protocol

from .._jobs.job_types import JobType
from .calls import call_later
from .outcome import StopReason
from .state import AFTER_FIRST_GRACE, HasState, advance


def grace_seconds(
    definition: JobType[..., Any], reason: StopReason | None, default: float
) -> float:
    """Seconds to stop for *reason*: those of the job type, or the *default*."""
    is_late = reason is StopReason.DEADLINE
    own = definition.timeout_grace if is_late else definition.cancel_grace
    return default if own is None else own


class HasGrace(HasState, Protocol):
    """What a grace period needs of a run."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def gets_second_grace(self) -> bool:
        """Whether its handler only has the flag so far, and can be cancelled."""
        ...

    def cancel_handler(self) -> None: ...

    def abandon(self) -> None: ...


class Grace:
    """The grace periods of *run*, *seconds* each; they begin now."""

    __slots__ = ("_handle", "_run", "_seconds")

    def __init__(self, run: HasGrace, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._begin()

    def _begin(self) -> None:
        self._handle: asyncio.Handle | None = call_later(
            self._run.loop, self._seconds, self._last_round
        )

    def _last_round(self) -> None:
        # uvloop runs what is due before what was ready: the handler may not have heard yet.
        self._handle = self._run.loop.call_soon(self._over, context=contextvars.Context())

    def _over(self) -> None:
        second = AFTER_FIRST_GRACE.get(self._run.state)
        if second is not None and self._run.gets_second_grace:
            advance(self._run, second)
            self._begin()
            self._run.cancel_handler()
        else:
            self._run.abandon()

    def cancel(self) -> None:
        """Nothing happens any more: the job has finished."""
        if self._handle is not None:
            self._handle.cancel()
