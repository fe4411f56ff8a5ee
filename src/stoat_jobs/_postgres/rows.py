"""From rows to records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from .._jobs.handlers import JobHandlers
from .._model.records import JobResult, unchecked_record
from .._model.status import JobStatus
from .._payload.frozen import KeptPayload
from .._stored.records import result_from_json


def record_of(row: Mapping[str, Any], handlers: JobHandlers) -> JobResult[Any]:
    """The record in *row*, with a result of the declared type if it still fits."""
    result = row["result"]
    if result is None:
        return record_with(row)
    return record_with(row, result=result_from_json(result.encode(), row["type"], handlers))


def record_with(row: Mapping[str, Any], **changed: Any) -> JobResult[Any]:
    """The record in *row*, apart from what *changed* says."""
    payload = row["payload"]
    return unchecked_record(
        {
            "job_id": str(row["id"]),
            "job_type": row["type"],
            "status": JobStatus(row["status"]),
            "result": None,
            "error": row["error"],
            "error_type": row["error_type"],
            "progress": row["progress"],
            "message": row["message"],
            "attempt": row["attempt"],
            "submitted_at": row["submitted_at"],
            "started_at": row["started_at"],
            "finished_at": row["finished_at"],
            "cancel_requested": row["cancel_requested"],
            "metadata": metadata_of(row),
            "key": row["key"],
            "not_before": row["not_before"],
            "payload": None if payload is None else KeptPayload({}, payload.encode()).on_record(),
            **changed,
        }
    )


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Checked metadata, as its column has it."""
    return to_json(dict(metadata)).decode() if metadata else "{}"


def metadata_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata in *row*."""
    metadata: dict[str, Any] = json.loads(row["metadata"])
    return metadata
