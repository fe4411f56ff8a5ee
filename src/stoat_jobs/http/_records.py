"""Records as JSON for clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Generic

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic_core import to_json
from typing_extensions import TypeVar

from stoat_jobs import JobResult

R = TypeVar("R", default=Any)

# How many records are read or written before other tasks may run.
SLICE = 50

_RECORD: TypeAdapter[JobResult[Any]] = TypeAdapter(JobResult[Any])
_RESULT: TypeAdapter[Any] = TypeAdapter(
    Any, config=ConfigDict(ser_json_bytes="base64", ser_json_inf_nan="null")
)


class JobRecord(JobResult[R], Generic[R], frozen=True):
    """A job as clients see it: a :class:`JobResult`, and whether its result could be sent."""

    result_error: str | None = Field(
        default=None,
        description="The type of a result that JSON cannot represent; then `result` is null.",
    )


class ShownRecord:
    """The JSON of one record, and a tag that changes with it.

    The tag is computed from the row, without the result, which may be large. That is enough,
    because a record does not change any more once it has a result. So a request from a client
    that has the record already is as cheap as a row.
    """

    __slots__ = ("_row", "record", "tag")

    def __init__(
        self, record: JobResult[Any], *, expose_errors: bool, expose_payload: bool = False
    ) -> None:
        self.record = record
        self._row = row_json(record, expose_errors=expose_errors, expose_payload=expose_payload)
        self.tag = tag_of(self._row)

    @property
    def body(self) -> bytes:
        """The JSON, on one line; an unserialisable result is null, with its type's name."""
        result, result_error = _result_json(self.record.result)
        return b'%b,"result":%b,"result_error":%b}' % (
            *(self._row[:-1], result),
            to_json(result_error),
        )

    @property
    def is_terminal(self) -> bool:
        """Whether the job has finished."""
        return self.record.status.is_terminal


def tag_of(body: bytes) -> str:
    """The ``ETag`` of *body*, without the quotes."""
    return blake2b(body, digest_size=12).hexdigest()


def row_json(record: JobResult[Any], *, expose_errors: bool, expose_payload: bool = False) -> bytes:
    """*record* as JSON without its result, which may be large and is not in lists."""
    return _RECORD.dump_json(_shown(record, expose_errors, expose_payload), exclude={"result"})


async def list_json(
    records: Iterable[JobResult[Any]], *, expose_errors: bool, expose_payload: bool = False
) -> bytes:
    """The rows of *records* as a JSON array."""
    rows = []
    for number, record in enumerate(records, start=1):
        rows.append(row_json(record, expose_errors=expose_errors, expose_payload=expose_payload))
        if number % SLICE == 0:
            await asyncio.sleep(0)
    return b"[%b]" % b",".join(rows)


def _shown(record: JobResult[Any], expose_errors: bool, expose_payload: bool) -> JobResult[Any]:
    hidden: dict[str, Any] = {}
    if not (record.error is None or expose_errors):
        hidden["error"] = record.error_type
    if not (record.payload is None or expose_payload):
        hidden["payload"] = None
    return record.model_copy(update=hidden) if hidden else record


def _result_json(result: Any) -> tuple[bytes, str | None]:
    if result is None:
        return b"null", None
    try:
        # By alias, as in the OpenAPI document.
        return _RESULT.dump_json(result, by_alias=True, warnings=False), None
    except KeyboardInterrupt:
        raise
    except BaseException:  # the user's own objects may raise anything
        return b"null", type(result).__name__
