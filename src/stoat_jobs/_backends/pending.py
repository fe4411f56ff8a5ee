"""The jobs that wait for a slot.

The pattern is that of ``asyncio.Queue``: ``submit`` puts a job, a free slot takes one. It is not
that class, because nobody ever waits in a ``get()``: what frees a slot starts the next job at
once.

- A job that is cancelled leaves from the middle. Its place stays until it is the oldest, or until
  more than half of all places are left: so to leave takes the same time however many wait.
- The oldest place is that of a job that waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from .._run.outcome import Outcome, StopReason, never_started
from .job import Job


class PendingJobs:
    """The jobs that wait, oldest first.

    Not a dict by id: that takes three times the memory, and is spread over all of it.
    """

    __slots__ = ("_left", "maxsize", "places")

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.places: deque[Job] = deque()
        """Of those that wait, and of some that no longer do; empty if nobody waits."""
        self._left: set[Job] = set()

    def __bool__(self) -> bool:
        return bool(self.places)

    def __len__(self) -> int:
        return len(self.places) - len(self._left)

    def __iter__(self) -> Iterator[Job]:
        return (job for job in self.places if job not in self._left)

    def full(self) -> bool:
        """Whether ``maxsize`` jobs wait; never, if that is 0."""
        return 0 < self.maxsize <= len(self.places) and self.maxsize <= len(self)

    def put(self, job: Job) -> None:
        """Let *job* wait, even if there are too many: who accepts it has to ask."""
        self.places.append(job)

    def take(self) -> Job:
        """The oldest, which waits no longer; there must be one."""
        job = self.places.popleft()
        if self._left:
            self._drop_left()
        return job

    def stop(self, job: Job, reason: StopReason) -> Outcome:
        """Let *job* wait no longer, as it was told to stop; returns how it finishes."""
        self._left.add(job)
        self._drop_left()
        if 2 * len(self._left) > len(self.places):
            self.replace(self)
        return never_started(reason)

    def first(self) -> Job:
        """The oldest, which goes on waiting; there must be one."""
        return self.places[0]

    def replace(self, jobs: Iterable[Job]) -> None:
        """Let only these wait; there may be more than ``maxsize``."""
        self.places, self._left = deque(jobs), set()

    def _drop_left(self) -> None:
        """Drop the oldest places whose jobs wait no longer."""
        while self.places and self.places[0] in self._left:
            self._left.discard(self.places.popleft())
