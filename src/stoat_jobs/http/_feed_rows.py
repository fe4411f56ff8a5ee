"""The rows for clients that follow all jobs: one for each job, and which of them have changed.

A row is the JSON of a record without its result. Only rows are kept, not records, so that nothing
keeps a result in memory that the queue has dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from stoat_jobs import JobResult, JobStatus

Ids = OrderedDict[str, None]


class Row(NamedTuple):
    """The JSON of a record, and by what it is found out whose it is."""

    job_id: str
    job_type: str
    status: JobStatus
    metadata: Mapping[str, Any]
    json: bytes


class Rows:
    """The rows of all running jobs and at most *limit* others, in the order of submission."""

    def __init__(self, limit: int, row_of: Callable[[JobResult[Any]], bytes]) -> None:
        self._limit = limit
        self._row_of = row_of
        self._rows: OrderedDict[str, Row] = OrderedDict()
        self._changed: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self.pending: Ids = OrderedDict()
        self.running: Ids = OrderedDict()
        self.ended: Ids = OrderedDict()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def newest_first(self) -> Iterator[Row]:
        """All rows, the newest job first."""
        return reversed(self._rows.values())

    def put(self, record: JobResult[Any]) -> None:
        """Add or update the row of *record*; a new job counts as the newest."""
        job_id, json = record.job_id, self._row_of(record)
        phase = self._phase(record.status)
        if job_id not in phase:
            self._forget_phase(job_id)
            phase[job_id] = None
        known = self._rows.get(job_id)
        if known is None or known.json != json:
            row = Row(job_id, record.job_type, record.status, record.metadata, json)
            self._rows[job_id] = row
            self._changed[job_id] = None

    def sort_ends(self, records: Iterable[JobResult[Any]]) -> None:
        """Sort the finished jobs among *records* by the time at which they finished."""
        ended = ((each.finished_at, each.job_id) for each in records if each.finished_at)
        for _, job_id in sorted(ended):
            self.ended.move_to_end(job_id)

    def drop(self, job_id: str) -> None:
        """Remove the row of this job."""
        self._forget_phase(job_id)
        del self._rows[job_id]
        self._gone[job_id] = None

    @property
    def are_full(self) -> bool:
        """Whether there is no room for another row, unless its job is running."""
        return len(self.pending) + len(self.ended) >= self._limit

    def trim(self) -> None:
        """If there are too many rows, drop the oldest jobs that are not running."""
        over = len(self.pending) + len(self.ended) - self._limit
        idle = (job_id for job_id in self._rows if job_id not in self.running)
        for job_id in [next(idle) for _ in range(over)]:
            self.drop(job_id)

    def take_changes(self) -> tuple[list[Row], list[str]]:
        """The rows that changed since the last call, newest first, and the ids of dropped jobs."""
        gone = list(self._gone)
        changed = [job_id for job_id in reversed(self._changed) if job_id in self._rows]
        self._changed, self._gone = {}, {}
        return [self._rows[job_id] for job_id in changed], gone

    def _phase(self, status: JobStatus) -> Ids:
        if status.is_terminal:
            return self.ended
        return self.pending if status is JobStatus.PENDING else self.running

    def _forget_phase(self, job_id: str) -> None:
        for phase in (self.pending, self.running, self.ended):
            phase.pop(job_id, None)
