"""What a reader of the stream of all jobs is sent: everything, or only what is its own.

A reader of only its own jobs learns nothing of others, not even how many there are: the counts
that it is sent are those of its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from pydantic_core import to_json

from stoat_jobs import JobStatus
from stoat_jobs.backends import JobFilter

from ._feed_rows import Row, Rows


class Changes(NamedTuple):
    """What changed between two polls, and the message about it for who may see all jobs."""

    rows: list[Row]
    gone: list[str]
    message: bytes


class Seen(Protocol):
    """What the last poll has seen."""

    rows: Rows
    stats: bytes
    is_partial: bool  # there are older jobs than those in rows


class Everything:
    """What a reader of all jobs is sent."""

    def snapshot(self, seen: Seen) -> bytes:
        """All rows."""
        return message(b"snapshot", seen.rows.newest_first(), [], seen.stats)

    def changes(self, several: Sequence[Changes], seen: Seen) -> bytes:
        """The messages about these changes."""
        return b"".join(each.message for each in several)


class Own:
    """What a reader is sent that may see only the jobs that *own* matches."""

    def __init__(self, own: JobFilter) -> None:
        self._own = own
        self._shown: dict[str, JobStatus] = {}

    def snapshot(self, seen: Seen) -> bytes:
        """The reader's rows."""
        self._shown.clear()
        mine = [row for row in seen.rows.newest_first() if self._own.matches(row)]
        return self._message(b"snapshot", mine, [], seen)

    def changes(self, several: Sequence[Changes], seen: Seen) -> bytes:
        """The messages about those of these changes that are the reader's; empty without any."""
        return b"".join(self._one(each, seen) for each in several)

    def _one(self, changes: Changes, seen: Seen) -> bytes:
        mine = [row for row in changes.rows if self._own.matches(row)]
        others = [row.job_id for row in changes.rows if not self._own.matches(row)]
        # A job that was the reader's is no longer, if its handler changed the metadata.
        gone = [job_id for job_id in (*changes.gone, *others) if job_id in self._shown]
        return self._message(b"changes", mine, gone, seen) if mine or gone else b""

    def _message(self, name: bytes, mine: list[Row], gone: list[str], seen: Seen) -> bytes:
        for job_id in gone:
            del self._shown[job_id]
        self._shown.update((row.job_id, row.status) for row in mine)
        counts = Counter(self._shown.values())
        by_status = {str(status): counts[status] for status in JobStatus}
        stats: dict[str, Any] = {"by_status": by_status, "is_partial": seen.is_partial}
        return message(name, mine, gone, to_json(stats))


def message(name: bytes, rows: Iterable[Row], gone: list[str], stats: bytes) -> bytes:
    """One event of the stream."""
    now = to_json(datetime.now(UTC))
    return b'event: %b\ndata: {"at":%b,"stats":%b,"gone":%b,"jobs":[%b]}\n\n' % (
        *(name, now, stats, to_json(gone)),
        b",".join(row.json for row in rows),
    )
