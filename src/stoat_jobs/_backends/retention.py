"""How long finished jobs are kept: so many, and each for so long.

The age counts from the finish, in time that has really passed.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable

from .._model.events import RemovalReason
from .._run.calls import call_later
from .._run.clock import Clock
from .job import Job

# Seconds; a float so far from the epoch is no finer.
_RESOLUTION = 1e-6

# How many a timer drops in one turn of the event loop.
_AT_ONCE = 100


class Retention:
    """The finished jobs of a queue, in the order of finishing; *drop* forgets one of them."""

    def __init__(
        self,
        clock: Clock,
        result_ttl: float,
        max_results: int,
        drop: Callable[[Job, RemovalReason], None],
    ) -> None:
        self._clock = clock
        self._result_ttl = result_ttl
        self._max_results = max_results
        self._drop = drop
        self._finished: deque[Job] = deque()
        self._gone: set[Job] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.timer: asyncio.Handle | None = None
        """It drops the oldest in time; None if only :meth:`expire` does."""

    def __len__(self) -> int:
        return len(self._finished) - len(self._gone)

    def add(self, job: Job) -> None:
        """Keep *job*, which has finished; the oldest go if there are too many."""
        self._finished.append(job)
        if len(self._finished) > self._max_results and len(self) > self._max_results:
            self._drop(self._take(), "number")
        if self.timer is None:
            self._expire_later()

    def discard(self, job: Job) -> None:
        """Forget *job*, without dropping it.

        Its place stays until it is the oldest, or until more than half of all places are such.
        """
        self._gone.add(job)
        self._drop_gone()
        if 2 * len(self._gone) > len(self._finished):
            self._finished = deque(job for job in self._finished if job not in self._gone)
            self._gone = set()

    def replace(self, jobs: Iterable[Job]) -> None:
        """Keep only these, in this order; of too many the newest."""
        self._finished, self._gone = deque(jobs), set()
        while len(self._finished) > self._max_results:
            self._drop(self._take(), "number")

    def expire(self, limit: int | None = None) -> None:
        """Drop those that are too old; at most *limit*, if given."""
        for _ in range(len(self._finished) if limit is None else limit):
            if not self._finished or self._time_left() > _RESOLUTION:
                break
            self._drop(self._take(), "age")

    def _take(self) -> Job:
        """The oldest, which is kept no longer."""
        job = self._finished.popleft()
        if self._gone:
            self._drop_gone()
        return job

    def _drop_gone(self) -> None:
        while self._finished and self._finished[0] in self._gone:
            self._gone.discard(self._finished.popleft())

    def expire_on(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Drop jobs on time by a timer on *loop*; if that is None, only on :meth:`expire`."""
        self._loop = loop
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self._expire_later()

    def _expire_later(self) -> None:
        if self._loop is None or self.timer is not None or not self._finished:
            return
        seconds = self._time_left()
        if seconds != math.inf:
            self.timer = call_later(self._loop, max(seconds, 0.0), self._on_timer)

    def _on_timer(self) -> None:
        """Drop some of those that are too old; the others in a later turn of the event loop."""
        self.timer = None
        try:
            self.expire(_AT_ONCE)
        finally:
            self._expire_later()

    def _time_left(self) -> float:
        """Seconds that the oldest may stay."""
        oldest = self._finished[0]
        finished = (oldest.finished or 0.0) - oldest.shift
        return finished + self._result_ttl - self._clock.age()
