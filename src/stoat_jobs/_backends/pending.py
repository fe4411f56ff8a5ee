"""The jobs that wait for a slot.

The pattern is that of ``asyncio.Queue``: ``submit`` puts a job, a free slot takes one. It is not
that class, because nobody ever waits in a ``get()``: what frees a slot starts the next job at
once.

- Of those that are due, the one starts first that has been due longest: a delayed job since its
  delay passed, any other since it was submitted. The heads of a queue and of a heap are compared;
  nothing is moved from one to the other, however many become due at once.
- Jobs of a type with a limit of its own wait in a line of their own, so that those of a type that
  is full are in nobody's way.
- A job that is cancelled leaves from the middle. Its place stays until it is the next of its
  line, or until more than half of all places are left: so to leave takes the same time however
  many wait.
- The next place of a line is that of a job that waits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from itertools import chain
from operator import attrgetter

from .._run.outcome import Outcome, StopReason, never_started
from .job import Job


class Line:
    """Jobs that wait for one another."""

    __slots__ = ("delayed", "left", "places", "running")

    def __init__(self) -> None:
        self.places: deque[Job] = deque()
        """Of those that were not delayed, in the order of submission."""
        self.delayed: list[Job] = []
        """A heap of the others."""
        self.left: set[Job] = set()
        """Those of both that wait no longer."""
        self.running: set[Job] = set()
        """Of a limited type."""

    def __iter__(self) -> Iterator[Job]:
        return (job for job in chain(self.places, self.delayed) if job not in self.left)

    def put(self, job: Job) -> None:
        """Let *job* wait."""
        if job.delay is None:
            self.places.append(job)
        else:
            heappush(self.delayed, job)

    def put_all(self, jobs: list[Job]) -> None:
        """As :meth:`put`, for jobs of one delay."""
        if jobs[0].delay is None:
            self.places.extend(jobs)
        else:
            self.delayed.extend(jobs)
            heapify(self.delayed)

    def first(self, now: float) -> Job | None:
        """The one that starts next, if one is due *now*, an age of the clock."""
        undelayed = self.places[0] if self.places else None
        delayed = self.delayed[0] if self.delayed else None
        if delayed is None or delayed.due > now:
            return undelayed
        return delayed if undelayed is None or delayed < undelayed else undelayed

    def has_room(self, job: Job) -> bool:
        """Whether *job*, which waits here, may run beside those that do."""
        limit = job.definition.concurrency
        return limit is None or len(self.running) < limit

    def take(self, job: Job) -> None:
        """Let *job*, which is first, wait no longer."""
        if job.delay is None:
            self.places.popleft()
        else:
            heappop(self.delayed)
        if self.left:
            self._drop_left()

    def leave(self, job: Job) -> None:
        """Let *job* wait no longer, wherever it is."""
        self.left.add(job)
        self._drop_left()
        if 2 * len(self.left) > len(self.places) + len(self.delayed):
            self._close_gaps()

    def _close_gaps(self) -> None:
        self.places = deque(job for job in self.places if job not in self.left)
        self.delayed = [job for job in self.delayed if job not in self.left]
        heapify(self.delayed)
        self.left = set()

    def _drop_left(self) -> None:
        """Drop the next places whose jobs wait no longer."""
        while self.places and self.places[0] in self.left:
            self.left.discard(self.places.popleft())
        while self.delayed and self.delayed[0] in self.left:
            self.left.discard(heappop(self.delayed))


class PendingJobs(Line):
    """The jobs that wait; those of unlimited types that were not delayed are in ``places``.

    Not a dict by id: that takes three times the memory, and is spread over all of it.
    """

    __slots__ = ("elsewhere", "lines", "maxsize")

    def __init__(self, maxsize: float) -> None:
        super().__init__()
        self.maxsize: float = maxsize or math.inf
        self.lines: dict[str | None, Line] = {}
        """Of the limited types, by name, and of the delayed jobs of all others, by None."""
        self.elsewhere: int = 0
        """How many wait in these lines, or have a place and are not there yet."""

    def __bool__(self) -> bool:
        return bool(self.places) or self.elsewhere > 0

    def __len__(self) -> int:
        return len(self.places) - len(self.left) + self.elsewhere

    def __iter__(self) -> Iterator[Job]:
        """In the order of submission."""
        if not self.elsewhere:
            return super().__iter__()
        jobs = chain(super().__iter__(), *self.lines.values())
        return iter(sorted(jobs, key=attrgetter("submitted")))

    def full(self) -> bool:
        """Whether ``maxsize`` jobs wait; never, if that was given as 0."""
        return len(self) >= self.maxsize

    def put(self, job: Job) -> None:
        """Let *job* wait, even if there are too many: who accepts it has to ask."""
        line = self._line_of(job)
        if line is None:
            self.places.append(job)
        else:
            self.elsewhere += 1  # first: after a Ctrl-C in between, the job is still looked for
            line.put(job)

    def put_all(self, jobs: list[Job]) -> None:
        """As :meth:`put`, for jobs of one type and one delay."""
        line = self._line_of(jobs[0]) if jobs else None
        if line is None:
            self.places.extend(jobs)
        else:
            self.elsewhere += len(jobs)
            line.put_all(jobs)

    def first(self, now: float = math.inf) -> Job | None:
        """The job that starts next, if one may *now*: due, and of a type that has room."""
        first = self.places[0] if self.places else None
        for line in self.lines.values():
            job = line.first(now)
            if job is not None and line.has_room(job) and (first is None or job < first):
                first = job
        return first

    def next_due(self) -> float:
        """When the next delay passes of a job for which there is room then; ``inf`` if none."""
        delayed = ((line, line.delayed[0]) for line in self.lines.values() if line.delayed)
        return min((job.due for line, job in delayed if line.has_room(job)), default=math.inf)

    def pop(self) -> Job:
        """The first, which waits no longer; there must be one, and none may wait elsewhere."""
        job = self.places.popleft()
        if self.left:
            self._drop_left()
        return job

    def take(self, job: Job) -> None:
        """Let *job*, which is first, wait no longer."""
        line = self._line_of(job) if self.elsewhere else None
        if line is None:
            super().take(job)
        else:
            line.take(job)
            self.elsewhere -= 1

    def stop(self, job: Job, reason: StopReason) -> Outcome:
        """Let *job* wait no longer, as it was told to stop; returns how it finishes."""
        line = self._line_of(job) if self.elsewhere else None
        if line is None:
            self.leave(job)
        else:
            line.leave(job)
            self.elsewhere -= 1
        return never_started(reason)

    def replace(self, jobs: Iterable[Job]) -> None:
        """Let only these wait; there may be more than ``maxsize``."""
        self.places, self.left, self.lines, self.elsewhere = deque(), set(), {}, 0
        for job in jobs:
            self.put(job)

    # What runs of the limited types.

    def started(self, job: Job) -> None:
        """*job* runs."""
        if job.definition.concurrency is not None:
            self.lines[job.job_type].running.add(job)

    def ended(self, job: Job) -> None:
        """*job* runs no longer."""
        if (line := self.lines.get(job.job_type)) is not None:
            line.running.discard(job)

    def all_ended(self) -> None:
        """Nothing runs any more."""
        for line in self.lines.values():
            line.running.clear()

    def _line_of(self, job: Job) -> Line | None:
        """The line in which *job* waits; None for ``places``."""
        limited = job.definition.concurrency is not None
        if not limited and job.delay is None:
            return None
        name = job.job_type if limited else None
        line = self.lines.get(name)
        if line is None:
            line = self.lines[name] = Line()
        return line
