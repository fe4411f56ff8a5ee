"""Reading records: one, many, a page, and how many there are."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._jobs.handlers import JobHandlers
from .._model.errors import BackendError, JobNotFoundError
from .._model.filters import JobFilter
from .._model.pages import JobPage, cursor_at
from .._model.records import JobResult
from .._model.stats import TypeStats
from .._model.status import CANCELLED, JobStatus
from .connections import Connections, Row
from .reading_sql import EVER, ReadingSql
from .reasons import is_without_tables
from .rows import metadata_of, record_of

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LAST_PLACE = 2**63 - 1

# Of so many jobs, the counts by type are made for each who asks; of more, once a second.
_ALWAYS_FRESH = 2_000
_KEPT_S = 1.0

# Of tables without statistics, all rows of a line would be sorted to find the first few.
BY_INDEX = "SET LOCAL enable_sort = off"


def checked_id(job_id: Any) -> str:
    """A job's id as the server knows it.

    Raises:
        JobNotFoundError: it is none.
    """
    if isinstance(job_id, str) and _ID.fullmatch(job_id):
        return job_id
    raise JobNotFoundError(job_id)


class Records:
    """Reads the records of one queue."""

    def __init__(
        self,
        connections: Connections,
        sql: ReadingSql,
        ttl: float,
        handlers: Callable[[], JobHandlers],
        without_tables: Callable[[], BackendError | None],
    ) -> None:
        """Read what *connections* lead to.

        *ttl*: seconds that a record is kept. *handlers* returns the registry, which may change
        while the queue runs. *without_tables* returns what to raise where there are no tables;
        None if then there are no jobs.
        """
        self._connections = connections
        self._sql = sql
        self._ttl = ttl
        self._handlers = handlers
        self._without_tables = without_tables
        self._by_type: dict[str, TypeStats] = {}
        self._good_until = 0.0

    async def _fetch(
        self, sql: str, *args: Any, within: float | None = None, local: str = ""
    ) -> list[Row]:
        try:
            return await self._connections.ask(sql, *args, within=within, local=local)
        except Exception as error:
            if not is_without_tables(error):
                raise
        if (refusal := self._without_tables()) is not None:
            raise refusal
        return []  # a queue that was never started

    async def get(self, job_id: str, within: float | None = None) -> JobResult[Any]:
        """The record of a job; a server that does not answer *within* so many seconds is away.

        Raises:
            JobNotFoundError: there is none.
        """
        rows = await self._fetch(self._sql.read, [checked_id(job_id)], self._ttl, within=within)
        if not rows:
            raise JobNotFoundError(job_id)
        return record_of(rows[0], self._handlers())

    async def source(self, job_id: str) -> Row:
        """The row of a job, with what it takes to submit it again.

        Raises:
            JobNotFoundError: there is none.
        """
        rows = await self._fetch(self._sql.read_source, checked_id(job_id), self._ttl)
        if not rows:
            raise JobNotFoundError(job_id)
        return rows[0]

    async def of_waiters(self, job_ids: list[str]) -> dict[str, JobResult[Any]]:
        """The records of jobs for which somebody waits, by their ids, also if they are old."""
        rows = await self._fetch(self._sql.read, job_ids, EVER)
        return {str(row["id"]): record_of(row, self._handlers()) for row in rows}

    async def cancelled(self, job_ids: Iterable[str]) -> list[Row]:
        """The rows of those of these jobs that ended by a cancel."""
        rows = await self._fetch(self._sql.read, list(job_ids), EVER)
        return [row for row in rows if row["status"] == CANCELLED and row["cancel_requested"]]

    async def page(self, wanted: JobFilter, before: int | None, limit: int) -> JobPage[Any]:
        """The *limit* newest records that are *wanted*, submitted before a place."""
        found: list[JobResult[Any]] = []
        place = last = _LAST_PLACE if before is None else min(before, _LAST_PLACE)
        is_more = is_possible(wanted)
        while is_more:
            # One more than asked for shows whether there is another page.
            asked = limit + 1 - len(found)
            query, *args = page_of(self._sql, wanted, place, self._ttl, asked)
            rows = await self._fetch(query, *args, local=BY_INDEX)
            for row in rows:
                place = row["seq"]
                record = record_of(row, self._handlers())
                if not wanted.matches(record):
                    continue
                if len(found) == limit:
                    return JobPage(found, cursor_at(last))
                found.append(record)
                last = place
            is_more = len(rows) == asked
        return JobPage(found)

    async def live(self, wanted: JobFilter, status: JobStatus) -> list[str]:
        """The ids of the live jobs of this *status* that are *wanted*, oldest first."""
        if not is_possible(wanted):
            return []
        rows = await self._fetch(self._sql.live[status], _types_of(wanted), _metadata_of(wanted))
        return [str(row["id"]) for row in rows if wanted.matches(_Facts(row))]

    # Counts.

    async def counts(self) -> dict[JobStatus, int]:
        """Kept records by status."""
        rows = await self._fetch(self._sql.count, self._ttl)
        found = {row["status"]: row["number"] for row in rows}
        return {status: found.get(str(status), 0) for status in JobStatus}

    async def by_type(self, total: int) -> dict[str, TypeStats]:
        """The counts by job type of *total* records, in the order of names."""
        now = asyncio.get_running_loop().time()
        if total <= _ALWAYS_FRESH or now >= self._good_until:
            self._by_type = _type_stats(await self._fetch(self._sql.count_types, self._ttl))
            self._good_until = now + _KEPT_S
        return self._by_type


class _Facts:
    """What a filter asks of a row."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.status = JobStatus(row["status"])
        self.job_type: str = row["type"]
        self.metadata = metadata_of(row)


def is_possible(wanted: JobFilter) -> bool:
    """Whether a record can match: not if a text is asked for that the server cannot have."""
    texts = [*(wanted.job_types or ())]
    for name, value in wanted.metadata or ():
        texts += [name, value] if isinstance(value, str) else [name]
    return all(map(_is_text, texts))


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def page_of(
    sql: ReadingSql, wanted: JobFilter, place: int, ttl: float, limit: int
) -> tuple[Any, ...]:
    """The statement that finds the newest records that are *wanted*, and its arguments.

    The server compares numbers as decimals; so what it finds is looked at once more.
    """
    statuses = None if wanted.statuses is None else list(map(str, wanted.statuses))
    common = (place, ttl, statuses, _types_of(wanted), limit)
    if wanted.metadata:
        return (sql.page_with_metadata, *common, _metadata_of(wanted))
    if wanted.statuses == (JobStatus.RUNNING,):  # few, among the many that may wait
        return (sql.page_of_running, *common)
    if wanted.job_types is not None:
        return (sql.page_of_types, *common, _phases_of(wanted))
    if wanted.statuses is not None:
        return (sql.page_of_phases, *common, _phases_of(wanted))
    return (sql.page, *common)


def _phases_of(wanted: JobFilter) -> list[str]:
    statuses = JobStatus if wanted.statuses is None else wanted.statuses
    return sorted({str(status) if status.is_terminal else "live" for status in statuses})


def _types_of(wanted: JobFilter) -> list[str] | None:
    return None if wanted.job_types is None else sorted(wanted.job_types)


def _metadata_of(wanted: JobFilter) -> str | None:
    return json.dumps(dict(wanted.metadata)) if wanted.metadata else None


def _type_stats(rows: Iterable[Row]) -> dict[str, TypeStats]:
    counts: dict[str, dict[JobStatus, int]] = {}
    seconds: dict[str, tuple[list[Any], list[Any]]] = {}
    for row in rows:
        if row["status"] is None:
            none = [None, None]
            seconds[row["type"]] = (row["waits"] or none, row["durations"] or none)
        else:
            by_status = counts.setdefault(row["type"], dict.fromkeys(JobStatus, 0))
            by_status[JobStatus(row["status"])] = row["number"]
    return {name: _stats(counts[name], *seconds[name]) for name in sorted(counts)}


def _stats(by_status: dict[JobStatus, int], waits: list[Any], durations: list[Any]) -> TypeStats:
    wait_median, wait_p95, duration_median, duration_p95 = (
        None if value is None else float(value) for value in (*waits, *durations)
    )
    return TypeStats(
        by_status=by_status,
        wait_median_s=wait_median,
        wait_p95_s=wait_p95,
        duration_median_s=duration_median,
        duration_p95_s=duration_p95,
    )
