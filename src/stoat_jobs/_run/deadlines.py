"""The deadlines of all running jobs, with one timer for each timeout.

Jobs with the same timeout reach their deadlines in the order of their start, so only the first of
them needs a timer. A timer for each job would cost a third of a job that does nothing.

- A timer may fire early, by the resolution of the loop's clock or by rounding, and its handle may
  not say when it was due (uvloop's does not below half a millisecond). So the time is kept here.
- One timer serves many jobs: it is set again whatever telling one of them raises.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple, Protocol

# Unused timers are kept for the next job of their timeout, but no more than so many.
_MOST_UNUSED = 64


class HasDeadline(Protocol):
    """What has a deadline."""

    deadline: float

    def deadline_passed(self) -> None:
        """The deadline has passed."""
        ...


Watched = dict[HasDeadline, None]
"""What is watched together, in the order of their deadlines; who leaves it is watched no more."""


class _Timer(NamedTuple):
    due: float
    handle: asyncio.Handle


class Deadlines:
    """Watches the deadlines of what runs on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self._loop = loop
        self._now = now
        self._groups: dict[float, Watched] = {}
        self._timers: dict[float, _Timer] = {}

    def add(self, run: HasDeadline, timeout: float) -> Watched:
        """Watch *run*, which starts now and has *timeout* seconds, until it leaves its group."""
        now = self._now
        run.deadline = now() + timeout
        group = self._groups.get(timeout)
        if group is None:
            self._forget_unused()
            group = self._groups[timeout] = {}
            self._arm(timeout, run.deadline)
        group[run] = None
        return group

    def _forget_unused(self) -> None:
        if len(self._groups) >= _MOST_UNUSED:
            for timeout in [timeout for timeout, group in self._groups.items() if not group]:
                self._forget(timeout)

    def close(self) -> None:
        """Stop watching all runs."""
        for timeout in tuple(self._groups):
            self._forget(timeout)

    def _arm(self, timeout: float, due: float) -> None:
        # No context variables: a timer would keep the caller's alive, which are some job's.
        handle = self._loop.call_at(due, self._on_timer, timeout, context=contextvars.Context())
        self._timers[timeout] = _Timer(due, handle)

    def _on_timer(self, timeout: float) -> None:
        group = self._groups[timeout]
        now = max(self._now(), self._timers[timeout].due)
        try:
            for run in tuple(takewhile(lambda run: run.deadline <= now, group)):
                self._tell(run)
                group.pop(run, None)
        finally:
            self._arm_again(timeout)

    def _tell(self, run: HasDeadline) -> None:
        try:
            run.deadline_passed()
        except Exception as error:
            what = "telling a job that its deadline has passed failed"
            self._loop.call_exception_handler({"message": what, "exception": error})

    def _arm_again(self, timeout: float) -> None:
        group = self._groups.get(timeout)
        if group:
            self._arm(timeout, next(iter(group)).deadline)
        elif group is not None:
            self._forget(timeout)

    def _forget(self, timeout: float) -> None:
        del self._groups[timeout]
        if (timer := self._timers.pop(timeout, None)) is not None:
            timer.handle.cancel()
