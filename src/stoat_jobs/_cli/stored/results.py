"""Results as the handlers of an app declare them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pydantic import BaseModel

from stoat_jobs import JobHandlers, JobResult
from stoat_jobs.backends import result_from_json


def typed(job: JobResult[Any], handlers: JobHandlers | None) -> tuple[JobResult[Any], str | None]:
    """*job* with the result's JSON as its type has it now, and the name of that type.

    The name is None if the result is not of a type with fields, or does not fit its type any more.
    """
    if handlers is None or job.result is None or job.job_type not in handlers:
        return job, None
    definition = handlers.get(job.job_type)
    # A queue with these handlers gives it as the type; a reader, as JSON.
    text = json.dumps(job.result).encode()
    value = result_from_json(text, job.job_type, handlers)
    if not isinstance(value, BaseModel) and not dataclasses.is_dataclass(value):
        return job, None
    plain = json.loads(definition.encode_result(value))
    return job.model_copy(update={"result": plain}), type(value).__name__
