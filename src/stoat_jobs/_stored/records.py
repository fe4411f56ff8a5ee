"""From what a store keeps to what callers receive."""

from __future__ import annotations

import json
from typing import Any

from .._backends.scripted_outcomes import stand_in
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.records import JobResult, unchecked_record
from .._payload.frozen import KeptPayload
from .store import StoredJob


def definition_of(job_type: str, handlers: JobHandlers) -> JobType[..., Any]:
    """The job type of this name, or a stand-in."""
    return handlers.get(job_type) if job_type in handlers else stand_in(job_type)


def record_of(stored: StoredJob, handlers: JobHandlers) -> JobResult[Any]:
    """The record of a finished job, with a result of the declared type if it still fits."""
    payload = KeptPayload({}, stored.payload.encode()).on_record() if stored.payload else None
    name, text = stored.record.job_type, stored.result.encode()
    result = result_from_json(text, name, handlers) if text else None
    return unchecked_record({**vars(stored.record), "result": result, "payload": payload})


def result_from_json(text: bytes, job_type: str, handlers: JobHandlers) -> Any:
    """A result from the JSON that ``JobType.encode_result`` made, perhaps in another process.

    It is of the type that the handler declares. Without a handler, or if its type no longer fits,
    it is plain JSON.
    """
    try:
        return definition_of(job_type, handlers).decode_result(text)
    except Exception:  # the code has changed since
        return json.loads(text)
