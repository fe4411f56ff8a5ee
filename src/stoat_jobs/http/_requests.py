"""Reads and validates the queries and bodies of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Protocol, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json
from starlette.requests import Request

from stoat_jobs import JobStatus
from stoat_jobs.backends import checked_key

from ._limits import HttpLimits
from ._problems import ProblemError, ProblemKind, invalid_request

M = TypeVar("M", bound=BaseModel)


class Submission(BaseModel, frozen=True, extra="forbid"):
    """A job to submit."""

    job_type: str = Field(description="The name of a job type that may be submitted here.")
    payload: dict[str, Any] = Field(default={}, description="The handler's arguments by name.")
    key: (
        Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(checked_key)] | None
    ) = Field(
        default=None,
        description="At most one job of this type with this key is pending or running; submitting"
        " again returns that job. At most 1,024 bytes.",
    )


class WaitQuery(Protocol):
    """The query of a long poll."""

    timeout: float


class Forms:
    """Validates requests, within the limits."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self.ListQuery = _list_query_model(limits)
        self.WaitQuery = _wait_query_model(limits)

    def list_query(self, request: Request) -> BaseModel:
        """Which jobs to list."""
        return _checked(self.ListQuery, _query(request), "query")

    def wait_query(self, request: Request) -> WaitQuery:
        """How long to wait."""
        return cast(WaitQuery, _checked(self.WaitQuery, _query(request), "query"))

    async def submission(self, request: Request) -> Submission:
        """The job in the body."""
        return _checked(Submission, _parsed(await self._body(request)), "body")

    async def _body(self, request: Request) -> bytes:
        # Pages of other sites can make a browser post other types without a CORS preflight.
        if _media_type(request) != "application/json":
            detail = "send the job as application/json"
            raise ProblemError(ProblemKind.UNSUPPORTED_MEDIA_TYPE, detail)
        limit = self._limits.max_body_bytes
        if _declared_length(request) > limit:
            raise _too_large(limit)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _query(request: Request) -> dict[str, str]:
    """The query; repeated names are refused, because one of the values would be ignored."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := [name for name, times in names.items() if times > 1]:
        msg = "given more than once"
        raise invalid_request(
            [{"type": "repeated", "loc": ("query", name), "msg": msg} for name in repeated]
        )
    return dict(request.query_params)


def _list_query_model(limits: HttpLimits) -> type[BaseModel]:
    return create_model(
        "ListQuery",
        __config__=ConfigDict(extra="forbid"),
        status=(JobStatus, Field(None, description="Only jobs with this status.")),
        job_type=(str, Field(None, description="Only jobs of this type.")),
        limit=(
            int,
            Field(
                min(100, limits.max_listed),
                ge=1,
                le=limits.max_listed,
                description="The most jobs to list.",
            ),
        ),
    )


def _wait_query_model(limits: HttpLimits) -> type[BaseModel]:
    longest = limits.max_wait_timeout
    seconds = Field(
        min(limits.wait_timeout, longest),
        ge=0,
        le=longest,
        allow_inf_nan=False,
        description="Seconds to wait until the job has finished.",
    )
    return create_model(
        "WaitQuery", __config__=ConfigDict(extra="forbid"), timeout=(float, seconds)
    )


def _declared_length(request: Request) -> int:
    """The ``Content-Length`` of the request; 0 if there is none."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        errors = [{"type": "json_invalid", "loc": ("body",), "msg": str(error)}]
        raise invalid_request(errors) from error


def _checked(model: type[M], values: Mapping[str, Any] | Any, place: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        for each in errors:
            each["loc"] = (place, *each["loc"])
            if each["type"] == "extra_forbidden":
                each["msg"] = f"unknown name; known names: {', '.join(model.model_fields)}"
        raise invalid_request(errors) from error


def _too_large(limit: int) -> ProblemError:
    return ProblemError(ProblemKind.BODY_TOO_LARGE, f"a submission may have at most {limit} bytes")
