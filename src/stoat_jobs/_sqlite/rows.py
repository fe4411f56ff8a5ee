"""A job as a row, and back.

What is read was written by :func:`row_of`, so it is not validated again: a start may read a
hundred thousand rows.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from .._model.records import JobResult, unchecked_record
from .._model.status import TERMINAL, JobStatus
from .._run.clock import from_timestamp
from .._stored.store import FinishedJob, StoredJob, unchecked_job

COLUMNS = (
    "number",
    "job_id",
    "job_type",
    "status",
    "submitted",
    "started",
    "finished",
    "finish_number",
    "not_before",
    "key",
    "kept_key",
    "payload_digest",
    "timeout",
    "deliveries",
    "attempt",
    "cancel_requested",
    "progress",
    "message",
    "error",
    "error_type",
    "metadata",
)
"""Of the table ``job``, in the order of :func:`row_of`."""

FINISHED_COLUMNS = (
    "job_id",
    "job_type",
    "status",
    "number",
    "finish_number",
    "submitted",
    "started",
    "finished",
    "not_before",
    "case when kept_key then key end",
    "payload_digest",
)
"""What :func:`finished_of` reads."""

Row = tuple[Any, ...]

_STATUSES = {str(status): status for status in JobStatus}
_NOTHING_MORE: dict[str, Any] = {"result": None, "payload": None}


def row_of(job: StoredJob) -> Row:
    """The values of *job* for :data:`COLUMNS`."""
    record = job.record
    return (
        job.number,
        record.job_id,
        record.job_type,
        record.status.value,
        job.submitted,
        _stamp(record.started_at),
        _stamp(record.finished_at),
        job.finish_number,
        _stamp(record.not_before),
        record.key,
        job.unique == "kept",
        job.payload_digest,
        job.timeout,
        job.deliveries,
        record.attempt,
        record.cancel_requested,
        record.progress,
        record.message,
        record.error,
        record.error_type,
        to_json(record.metadata).decode() if record.metadata else "{}",
    )


def _stamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def job_of(row: Row) -> StoredJob:
    """The job of a row of :data:`COLUMNS`, and its payload and result."""
    return unchecked_job(
        {
            "record": record_of(row),
            "number": row[0],
            "submitted": row[4],
            "payload": row[21] or "",
            "result": row[22] or "",
            "timeout": row[12],
            "unique": "kept" if row[10] else "live",
            "payload_digest": row[11],
            "deliveries": row[13],
            "finish_number": row[7],
        }
    )


def record_of(row: Row) -> JobResult[Any]:
    """The record of a row of :data:`COLUMNS`, without its payload and its result."""
    (
        _, job_id, job_type, status, submitted, started, finished, _, not_before, key, _, _,
        _, _, attempt, cancel_requested, progress, message, error, error_type, metadata, _, _,
    ) = row  # fmt: skip
    return unchecked_record(
        {
            "job_id": job_id,
            "job_type": job_type,
            "status": _STATUSES[status],
            "error": error,
            "error_type": error_type,
            "progress": progress,
            "message": message,
            "attempt": attempt,
            # As in Job.record().
            "submitted_at": from_timestamp(submitted, UTC),
            "started_at": None if started is None else from_timestamp(started, UTC),
            "finished_at": None if finished is None else from_timestamp(finished, UTC),
            "cancel_requested": cancel_requested == 1,
            "metadata": {} if metadata == "{}" else from_json(metadata),
            "key": key,
            "not_before": None if not_before is None else from_timestamp(not_before, UTC),
            **_NOTHING_MORE,
        }
    )


def whole_record_of(row: Row) -> JobResult[Any]:
    """The record that a caller sees: of a finished job with its result, and its payload if kept.

    Of a live job nothing in its row says whether its type keeps its payload.
    """
    record = record_of(row)
    if record.status not in TERMINAL:
        return record
    payload, result = (from_json(text) if text else None for text in row[21:23])
    return record.model_copy(update={"payload": payload, "result": result})


def finished_of(row: Row) -> FinishedJob:
    """What a queue has to know of a finished job, of a row of :data:`FINISHED_COLUMNS`."""
    job_id, job_type, status, *others = row
    # Of a thousand jobs of a type, each has the same text.
    return FinishedJob(job_id, sys.intern(job_type), _STATUSES[status], *others)
