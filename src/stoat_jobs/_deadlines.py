"""The deadlines of all running jobs, on one timer for each timeout.

Jobs of one timeout reach their deadlines in the order of their start, so that only the
first of them needs a timer: a timer for each job cost a third of a job that does nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from itertools import takewhile
from typing import Protocol

# Unused timers are kept for the next job of their timeout, but no more than so many.
_MOST_UNUSED = 64


class HasDeadline(Protocol):
    """What has to end in time."""

    deadline: float

    def deadline_passed(self) -> None:
        """It has not ended in time."""
        ...


class Deadlines:
    """Watches the deadlines of what runs on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self._loop = loop
        self._now = now
        self._groups: dict[float, dict[HasDeadline, None]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def add(self, run: HasDeadline, timeout: float) -> None:
        """Watch *run*, which starts now and has *timeout* seconds."""
        run.deadline = self._now() + timeout
        group = self._groups.get(timeout)
        if group is None:
            group = self._groups[timeout] = {}
            self._arm(timeout, run.deadline)
        group[run] = None

    def discard(self, run: HasDeadline, timeout: float) -> None:
        """Watch *run* no more."""
        group = self._groups.get(timeout)
        if group is not None:
            group.pop(run, None)
            if not group and len(self._groups) > _MOST_UNUSED:
                self._forget(timeout)

    def close(self) -> None:
        """Watch nothing more."""
        for timeout in tuple(self._groups):
            self._forget(timeout)

    def _arm(self, timeout: float, when: float) -> None:
        # An empty context: a timer would keep the caller's alive, which is some job's.
        self._timers[timeout] = self._loop.call_at(
            when, self._on_timer, timeout, context=contextvars.Context()
        )

    def _on_timer(self, timeout: float) -> None:
        group = self._groups[timeout]
        # A loop's timers may be early by its clock's resolution.
        now = max(self._now(), self._timers[timeout].when())
        for run in tuple(takewhile(lambda run: run.deadline <= now, group)):
            del group[run]
            run.deadline_passed()
        if group:
            self._arm(timeout, next(iter(group)).deadline)
        else:
            self._forget(timeout)

    def _forget(self, timeout: float) -> None:
        del self._groups[timeout]
        self._timers.pop(timeout).cancel()
