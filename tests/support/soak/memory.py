"""Whether memory is flat: samples at equal moments, and a line through them.

A sample is taken when the queue is closed, its records have expired, the ledger has dropped
its own, threads and tasks are gone, and the garbage was collected. Then

- nothing that the queue makes for each job may be left, not one object;
- the line of least squares through the second half of the samples may not rise: neither
  that of the count of Python's objects, nor that of the process's resident memory. Both
  have some room, since allocators and caches are never quite still. A run of few samples
  says nothing about lines, and is not judged by them.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PER_JOB = {
    "CallResult",
    "FrozenPayload",
    "Job",
    "JobContext",
    "JobResult",
    "JobRun",
    "Outcome",
    "Watch",
}
"""Classes of the package that have an instance for each job or reader."""

FEWEST = 20
"""Samples without which no line is judged."""

OBJECTS_ROOM = 50.0
"""Objects by which the line may rise over the second half."""

BYTES_ROOM = 8.0 * (1 << 20)
"""Bytes by which the line may rise over the second half."""

STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Sample:
    """What there was after so many jobs."""

    jobs: int
    objects: int
    """Without the samples themselves."""
    resident: int
    """Bytes; 0 where the system does not tell."""
    left: dict[str, int]
    """What was made for jobs that are long over."""


def take(jobs: int) -> Sample:
    gc.collect()
    objects = gc.get_objects()
    own = sum(type(each) is Sample for each in objects)
    left = Counter(
        kind.__name__
        for kind in map(type, objects)
        if kind.__name__.partition("[")[0] in PER_JOB and kind.__module__.startswith("stoat_jobs")
    )
    return Sample(jobs, len(objects) - own, resident(), dict(left))


def resident() -> int:
    """Bytes of memory that the process holds; 0 where the system does not tell."""
    if not STATM.exists():
        return 0
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most bytes that the process ever held."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    # The system brings the one figure up to date less often than the other.
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, resident())


@dataclass(frozen=True)
class Trend:
    """A line through the second half of a run."""

    what: str
    per_job: float
    rise: float
    room: float

    @property
    def flat(self) -> bool:
        return self.rise <= self.room

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "NOT FLAT"
        return (
            f"{self.what}: {self.per_job:+.4f} per job, {self.rise:+,.0f} over the second half"
            f" of the run (room: {self.room:,.0f}): {verdict}"
        )


def trends(samples: list[Sample]) -> list[Trend]:
    """The lines to judge; none if the samples are too few."""
    half = samples[len(samples) // 2 :]
    if len(samples) < FEWEST:
        return []
    objects = [(each.jobs, each.objects) for each in half]
    resident = [(each.jobs, each.resident) for each in half]
    return [
        _trend("objects", objects, OBJECTS_ROOM),
        _trend("bytes resident", resident, BYTES_ROOM),
    ]


def _trend(what: str, points: list[tuple[int, int]], room: float) -> Trend:
    per_job = slope(points)
    return Trend(what, per_job, per_job * (points[-1][0] - points[0][0]), room)


def slope(points: list[tuple[int, int]]) -> float:
    """Of the line of least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return above / below if below else 0.0
