"""How a loop with a fake clock waits: for threads and connections in real time, else not at all."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable

from ._others import BRIEF_LOOK, REAL_LIMIT

LONGEST = 3
"""Of the real limit: what stirs now and then, as a heartbeat does, is no hope for ever."""

ROUNDS_LIMIT = 200_000
"""Iterations that the loop may be busy without a pause before it counts as a deadlock."""

# Real seconds between two looks at the threads, where only they can wake the loop.
_LOOK = 0.05


class DeadlockError(RuntimeError):
    """The loop has nothing to run, and nothing can ever wake it."""


class Selector(selectors.DefaultSelector):
    """Calls ``on_idle`` when the loop is about to wait."""

    on_idle: Callable[[], bool]
    may_wait: Callable[[], str | None]
    under_way: Callable[[], str | None]
    silence: Callable[[], float]
    deadline: Callable[[], float]
    places: Callable[[], str]
    """Where the tasks of the loop wait."""
    _rounds = 0
    _others_since: float | None = None
    """Since when others have been at work for the loop without a break."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        self._rounds = self._rounds + 1 if timeout == 0 else 0
        if self._rounds > ROUNDS_LIMIT:
            self._rounds = 0
            raise DeadlockError(f"still busy after {ROUNDS_LIMIT:,} rounds, at one moment in time")
        if events or timeout == 0:
            return events
        if (events := self._after_others()) or self.on_idle():
            return events
        refusal = self.may_wait()
        return self._last_look(refusal) if refusal else self._wait()

    def _after_others(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What happens while others work for the loop, or else once they have done so."""
        now = time.monotonic()
        self._others_since = self._others_since or now
        # What comes meanwhile need not be what is awaited.
        limit = min(now + REAL_LIMIT, self._others_since + LONGEST * REAL_LIMIT)
        while work := self.under_way():
            if time.monotonic() > limit:
                raise DeadlockError(f"{work} after {REAL_LIMIT} real seconds. {self.places()}")
            if events := super().select(BRIEF_LOOK):
                return events
        self._others_since = None
        return super().select(self.silence())

    def _last_look(self, refusal: str) -> list[tuple[selectors.SelectorKey, int]]:
        # A thread may have woken the loop and ended since the first select().
        if events := super().select(0):
            return events
        raise DeadlockError(refusal)

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        limit = self.deadline()
        while True:
            if time.monotonic() > limit:
                raise DeadlockError(
                    f"no thread and no file woke the loop in {REAL_LIMIT} real seconds, or nothing"
                    f" came of it in {LONGEST * REAL_LIMIT}. {self.places()}"
                )
            if events := super().select(_LOOK):
                return events
            if refusal := self.may_wait():  # a thread has ended, or is idle, since it woke the loop
                return self._last_look(refusal)
