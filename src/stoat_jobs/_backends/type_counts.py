"""The counts of a queue by job type, derived from the jobs themselves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any

from .._model.records import JobResult
from .._model.stats import TypeStats
from .._model.status import JobStatus
from .job import Job
from .listing import STEPS_A_TURN

# Of so many jobs, the counts are made for each who asks; of more, once a second.
_ALWAYS_FRESH = 2_000
_KEPT_S = 1.0


class _Sample:
    """The jobs of one type, as far as they were counted."""

    def __init__(self) -> None:
        self.by_status = dict.fromkeys(JobStatus, 0)
        self.waits: list[float] = []
        self.durations: list[float] = []

    def add(self, job: Job) -> None:
        self.by_status[job.status] += 1
        if job.is_finished and job.started is not None:
            self.waits.append(max(0.0, job.started - max(job.submitted, job.not_before or 0.0)))
            self.durations.append(job.duration or 0.0)

    def add_record(self, record: JobResult[Any]) -> None:
        self.by_status[record.status] += 1
        if record.started_at and record.finished_at:
            due = max(record.submitted_at, record.not_before or record.submitted_at)
            self.waits.append(max(0.0, (record.started_at - due).total_seconds()))
            self.durations.append((record.finished_at - record.started_at).total_seconds())

    def stats(self) -> TypeStats:
        self.waits.sort()
        self.durations.sort()
        return TypeStats(
            by_status=self.by_status,
            wait_median_s=_percentile(self.waits, 50),
            wait_p95_s=_percentile(self.waits, 95),
            duration_median_s=_percentile(self.durations, 50),
            duration_p95_s=_percentile(self.durations, 95),
        )


def _percentile(ordered: list[float], percent: int) -> float | None:
    """The smallest of *ordered* that so many percent do not exceed (nearest rank)."""
    if not ordered:
        return None
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


class TypeCounts:
    """Counts jobs by type; of many jobs, at most once a second of the clock *now*."""

    def __init__(self) -> None:
        self._counted: dict[str, TypeStats] = {}
        self._good_until = -math.inf

    async def of(self, jobs: list[Job], now: Callable[[], float]) -> dict[str, TypeStats]:
        """The counts by job type, in the order of names."""
        if len(jobs) <= _ALWAYS_FRESH:
            return await _count(jobs)
        if now() >= self._good_until:
            self._counted = await _count(jobs)
            self._good_until = now() + _KEPT_S
        return self._counted


def type_stats(records: Iterable[JobResult[Any]]) -> dict[str, TypeStats]:
    """The counts of *records* by job type, in the order of names, for ``QueueStats.by_type``.

    An engine that can count and order by itself need not read every record for this.
    """
    samples: dict[str, _Sample] = {}
    for record in records:
        samples.setdefault(record.job_type, _Sample()).add_record(record)
    return _in_order(samples)


async def _count(jobs: Iterable[Job]) -> dict[str, TypeStats]:
    samples: dict[str, _Sample] = {}
    for number, job in enumerate(jobs, 1):
        sample = samples.get(job.job_type)
        if sample is None:
            sample = samples[job.job_type] = _Sample()
        sample.add(job)
        if number % STEPS_A_TURN == 0:
            await asyncio.sleep(0)
    return _in_order(samples)


def _in_order(samples: dict[str, _Sample]) -> dict[str, TypeStats]:
    return {job_type: samples[job_type].stats() for job_type in sorted(samples)}
