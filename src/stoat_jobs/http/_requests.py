"""Reads and validates the bodies of requests."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from stoat_jobs.backends import checked_key

from ._idempotency import NAME
from ._limits import HttpLimits
from ._problems import ProblemError, ProblemKind, invalid_request

M = TypeVar("M", bound=BaseModel)

# How clients give a field, if not by its name.
_AS_GIVEN = {"metadata": "metadata.NAME"}

_NO_NUL = r"^[^\u0000]*$"


def _checked_key(key: str) -> str | None:
    if key.startswith(NAME):
        raise ValueError(f"a key that begins so is given in the header {NAME}")
    return checked_key(key)


class Submission(BaseModel, frozen=True, extra="forbid"):
    """A job to submit."""

    job_type: str = Field(description="The name of a job type that may be submitted here.")
    payload: dict[str, Any] = Field(default={}, description="The handler's arguments by name.")
    key: (
        Annotated[
            str,
            Field(min_length=1, max_length=1024, json_schema_extra={"pattern": _NO_NUL}),
            AfterValidator(_checked_key),
        ]
        | None
    ) = Field(
        default=None,
        description="At most one job of this type with this key is pending or running; submitting"
        " again returns that job. At most 1,024 bytes, without U+0000.",
    )


class Forms:
    """Validates bodies, within the limits."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits

    async def submission(self, request: Request) -> Submission:
        """The job in the body."""
        return checked(Submission, _parsed(await self._body(request)), "body")

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


def checked(model: type[M], values: Any, place: str) -> M:
    """*values* as a *model*; an error has the *place* of the request at which they were."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        for each in errors:
            each["loc"] = (place, *each["loc"])
            if each["type"] == "extra_forbidden":
                known = ", ".join(_AS_GIVEN.get(name, name) for name in model.model_fields)
                each["msg"] = f"unknown name; known names: {known}"
        raise invalid_request(errors) from error


def _too_large(limit: int) -> ProblemError:
    return ProblemError(ProblemKind.BODY_TOO_LARGE, f"a submission may have at most {limit} bytes")
