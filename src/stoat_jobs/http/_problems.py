"""What goes wrong, as RFC 9457 has it: one table from errors to problem documents.

A problem tells the client what to do, and nothing of the server: no traceback, no input, no
text of an error that was not written for clients.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum, unique
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from stoat_jobs import (
    BackendError,
    InvalidPayloadError,
    JobNotFoundError,
    KeyConflictError,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
)
from stoat_jobs.backends import log_event

from .._display import safe_text

MEDIA_TYPE = "application/problem+json"

# Seconds after which a client may ask again.
SOON = {"retry-after": "1"}

# With every response: browsers must not guess another content type.
SAFE = {"x-content-type-options": "nosniff"}

_MOST_ERRORS = 100
_LONGEST_NAME = 100


class ProblemDocument(BaseModel, frozen=True):
    """An RFC 9457 problem: why a request was not answered as asked."""

    type: str = Field(description="A stable name of this kind of problem, or `about:blank`.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The status code of the answer.")
    detail: str = Field(description="What was wrong with this request, and what to do.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="With 422: what is wrong where, in the form of pydantic's errors."
    )


@unique
class ProblemKind(Enum):
    """Every kind of problem, by its status and its title."""

    CLIENT_LEFT = 400, "Client left"
    OPERATION_CLOSED = 403, "Operation closed"
    NOT_ALLOWED = 403, "Not allowed"
    CROSS_SITE_REQUEST = 403, "Cross-site request"
    JOB_NOT_FOUND = 404, "Job not found"
    NOT_FOUND = 404, "Not found"
    JOB_FINISHED = 409, "Job finished"
    JOB_STOPPING = 409, "Job stopping"
    JOB_NOT_FINISHED = 409, "Job not finished"
    PAYLOAD_NOT_KEPT = 409, "Payload not kept"
    KEY_IN_USE = 409, "Key in use"
    BODY_TOO_LARGE = 413, "Body too large"
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported media type"
    INVALID_REQUEST = 422, "Invalid request"
    INVALID_PAYLOAD = 422, "Invalid payload"
    KEY_CONFLICT = 422, "Key conflict"
    JOB_TYPE_NOT_SUBMITTABLE = 422, "Job type not submittable"
    UNKNOWN_JOB_TYPE = 422, "Unknown job type"
    TOO_MANY_OPEN_FOR_ONE_CLIENT = 429, "Too many open for one client"
    AUTHORIZATION_FAILED = 500, "Authorization failed"
    QUEUE_FULL = 503, "Queue full"
    QUEUE_CLOSED = 503, "Queue closed"
    QUEUE_UNAVAILABLE = 503, "Queue unavailable"
    TOO_MANY_OPEN = 503, "Too many open"

    @property
    def status(self) -> int:
        """The status code of the answer."""
        return self.value[0]

    @property
    def title(self) -> str:
        """What clients show to people."""
        return self.value[1]

    @property
    def type(self) -> str:
        """What programs tell kinds apart by."""
        return f"urn:stoat-jobs:problem:{self.name.lower().replace('_', '-')}"

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with the answer: when to come again, if that may help."""
        return SOON if self.status in (429, 503) else {}


class ProblemError(Exception):
    """Raised where a request cannot be answered as asked."""

    def __init__(
        self, kind: ProblemKind, detail: str, *, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors

    def __str__(self) -> str:
        return self.detail

    def response(self) -> Response:
        """The answer."""
        document = ProblemDocument(
            type=self.kind.type,
            title=self.kind.title,
            status=self.kind.status,
            detail=self.detail,
            errors=self.errors,
        )
        return _response(document, self.kind.headers)


def response_to(error: Exception) -> Response | None:
    """The answer to a request that raised *error*; None where there is none for it."""
    if isinstance(error, ProblemError):
        return error.response()
    if isinstance(error, HTTPException):
        return of_http_exception(error)
    for kind, problem in PROBLEMS.items():
        if isinstance(error, kind):
            return problem(error).response()
    return None


def _response(document: ProblemDocument, headers: Mapping[str, str] | None) -> Response:
    return Response(
        to_json(document, exclude_none=True),
        document.status,
        {"cache-control": "no-store", **(headers or {}), **SAFE},
        MEDIA_TYPE,
    )


def of_http_exception(error: HTTPException) -> Response:
    """As ``authorize`` raises them, and the routes for what is not there."""
    document = ProblemDocument(
        type="about:blank",
        title=_phrase(error.status_code),
        status=error.status_code,
        detail=str(error.detail),
    )
    return _response(document, error.headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # one of the application's own
        return str(status)


def job_not_found(error: Any = None) -> ProblemError:
    """Nobody knows the job, or whoever asks may not learn of it; the same whichever id it was."""
    detail = (
        "there is no such job here: it was never submitted, or is kept no longer; with several"
        " server processes an in-process queue knows only the jobs of its own"
    )
    return ProblemError(ProblemKind.JOB_NOT_FOUND, detail)


def _unknown_job_type(error: Any) -> ProblemError:
    detail = "the server has no handler for this job type"
    return ProblemError(ProblemKind.UNKNOWN_JOB_TYPE, detail)


def _invalid_payload(error: Any) -> ProblemError:
    detail = "the payload does not fit the handler; see `errors`"
    return ProblemError(ProblemKind.INVALID_PAYLOAD, detail, errors=_kept(error.errors))


def _key_conflict(error: Any) -> ProblemError:
    detail = (
        "this key was sent before, with another payload; send the same payload again, or use"
        " another key"
    )
    return ProblemError(ProblemKind.KEY_CONFLICT, detail)


def _payload_not_kept(error: Any) -> ProblemError:
    detail = "the payloads of this job type are not kept, so the job cannot be submitted again"
    return ProblemError(ProblemKind.PAYLOAD_NOT_KEPT, detail)


def invalid_request(errors: list[Any]) -> ProblemError:
    """The request does not fit; *errors* are pydantic's."""
    return ProblemError(
        ProblemKind.INVALID_REQUEST, "the request does not fit; see `errors`", errors=_kept(errors)
    )


def _kept(errors: list[Any]) -> list[dict[str, Any]]:
    """Of *errors* the first; names in them are the client's own, and come back short and safe."""
    return [
        {
            "type": error.get("type", "value_error"),
            "loc": [_short(part) for part in error.get("loc", ())],
            "msg": safe_text(str(error["msg"])),
        }
        for error in errors[:_MOST_ERRORS]
    ]


def _short(part: Any) -> Any:
    return safe_text(part, _LONGEST_NAME) if isinstance(part, str) else part


def _client_left(error: Any) -> ProblemError:
    """Nobody reads it; the server is given an answer, and so no error to log."""
    return ProblemError(ProblemKind.CLIENT_LEFT, "the client left before its body was sent")


def _queue_full(error: Any) -> ProblemError:
    detail = "too many jobs wait already; try again later"
    return ProblemError(ProblemKind.QUEUE_FULL, detail)


def _queue_closed(error: Any) -> ProblemError:
    detail = "the server is stopping, or has not started; try again later"
    return ProblemError(ProblemKind.QUEUE_CLOSED, detail)


def _backend_fails(error: Any) -> ProblemError:
    log_event(logging.ERROR, "backend_failed", exc_info=error)
    detail = "the server cannot reach or keep its jobs at the moment; try again later"
    return ProblemError(ProblemKind.QUEUE_UNAVAILABLE, detail)


PROBLEMS = {
    JobNotFoundError: job_not_found,
    UnknownJobTypeError: _unknown_job_type,
    InvalidPayloadError: _invalid_payload,
    KeyConflictError: _key_conflict,
    PayloadNotKeptError: _payload_not_kept,
    QueueFullError: _queue_full,
    QueueClosedError: _queue_closed,
    BackendError: _backend_fails,
    ClientDisconnect: _client_left,
}
