"""Describes the routes for FastAPI's OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Union

from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.fields import FieldInfo

from stoat_jobs import JobHandlers, JobResult, JobType, QueueStats

from ._idempotency import LONGEST, NAME, PATTERN
from ._operations import CancelledJobs, Operations
from ._problems import MEDIA_TYPE, ProblemDocument
from ._queries import METADATA, CancelQuery, FilterQuery
from ._records import JobRecord
from ._requests import Submission
from ._routes import Place


def _events(names: list[str], required: list[str], description: str) -> dict[str, Any]:
    """Server-sent events, as in OpenAPI 3.2 and FastAPI."""
    properties = {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": names},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": description,
        },
        "retry": {"type": "integer"},
    }
    schema = {"type": "object", "properties": properties, "required": required}
    return {"text/event-stream": {"itemSchema": schema}}


# A job in a list.
_ROW = create_model(
    "JobRow",
    __doc__="A job in a list: its record without the result.",
    **{
        name: (field.annotation, field)
        for name, field in JobResult.model_fields.items()
        if name != "result"
    },  # type: ignore[call-overload]
)

_EVENTS = {
    "events": _events(
        ["change", "end"], ["id", "event", "data"], "The record, as `GET /{job_id}` returns it."
    ),
    "watch_all": _events(
        ["snapshot", "changes"],
        ["event", "data"],
        "An object: `jobs`, the records without `result`; `gone`, ids of jobs that are not kept"
        " any more; `stats`; and `at`, the server's time.",
    ),
}

_HEADERS = {
    "read": ("If-None-Match", "The `ETag` of the record that the client has."),
    "events": ("Last-Event-ID", "The `id` of the last event that the client has seen."),
}


_LINK = {
    "description": 'The page after this one, as `rel="next"`; absent on the last.',
    "schema": {"type": "string"},
}

_WITHOUT_JSON = ("delete", "events", "health", "watch_all")

_IDEMPOTENCY_KEY = {
    "name": NAME,
    "in": "header",
    "required": False,
    "description": "A string in quotes, which is new for each job. A repeated request with it is"
    " answered with the job of the first one, as long as that is kept.",
    "schema": {"type": "string", "pattern": PATTERN, "maxLength": LONGEST},
}


class Document:
    """The description of each route in the OpenAPI document."""

    def __init__(self, operations: Operations, handlers: JobHandlers | None) -> None:
        handlers = JobHandlers() if handlers is None else handlers
        self._record = _record_model(handlers)
        names = sorted(operations.submittable)
        self._submissions = [
            _submission(name, handlers.get(name) if name in handlers else None) for name in names
        ]
        queries = operations.queries
        self._queries: dict[str, type[BaseModel]] = {
            "list": queries.ListQuery,
            "wait": queries.WaitQuery,
            "cancel_many": CancelQuery,
        }
        self._models = {
            "list": list[_ROW],  # type: ignore[valid-type]
            "stats": QueueStats,
            "cancel_many": CancelledJobs,
        }

    def described(self, place: Place) -> dict[str, Any]:
        """Arguments for ``add_api_route``."""
        status, description = next(iter(place.answers.items()))
        has_json = not place.is_page and place.operation not in _WITHOUT_JSON
        model = self._models.get(place.operation, self._record)
        return {
            "status_code": status,
            "response_description": description,
            "response_model": model if has_json else None,
            "response_class": JSONResponse if has_json else Response,
            "responses": self._answers(place),
            "openapi_extra": self._request(place),
        }

    def _answers(self, place: Place) -> dict[int | str, Any]:
        answers: dict[int | str, Any] = {
            status: {"description": description} for status, description in place.answers.items()
        }
        if place.operation in _EVENTS:
            answers[200]["content"] = _EVENTS[place.operation]
        if place.operation == "list":
            answers[200]["headers"] = {"Link": _LINK}
        if place.operation == "wait":
            answers[202]["model"] = self._record
        for status in place.problems:
            answers[int(status)] = _problem(status.phrase)
        return {**answers, "default": _problem("Any other error.")}

    def _request(self, place: Place) -> dict[str, Any]:
        if place.operation == "submit":
            schema = {"anyOf": self._submissions}
            content = {"application/json": {"schema": schema}}
            body = {"required": True, "content": content}
            return {"requestBody": body, "parameters": [_IDEMPOTENCY_KEY]}
        if place.operation in _HEADERS:
            return {"parameters": [_header(*_HEADERS[place.operation])]}
        query = self._queries.get(place.operation)
        return {} if query is None else {"parameters": _parameters(query)}


def _problem(description: str) -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema()
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _header(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of *query* as OpenAPI parameters."""
    return [
        _METADATA_PARAMETER
        if name == "metadata"
        else {"name": name, "in": "query", "required": False, "schema": _schema(field)}
        for name, field in query.model_fields.items()
    ]


# Each property is a parameter of its own, as in `metadata.user=ada`.
_METADATA_PARAMETER = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "form",
    "explode": True,
    "description": FilterQuery.model_fields["metadata"].description,
    "schema": {
        "type": "object",
        "patternProperties": {f"^{re.escape(METADATA)}": {"type": "string"}},
        "additionalProperties": False,
    },
}


def _schema(field: FieldInfo) -> dict[str, Any]:
    annotation: Any = Annotated[field.annotation, field]
    schema = whole(TypeAdapter(annotation).json_schema())
    return {name: value for name, value in schema.items() if (name, value) != ("default", None)}


def _submission(name: str, job_type: JobType[..., Any] | None) -> dict[str, Any]:
    """The body that submits a job of this type."""
    schema = Submission.model_json_schema()
    schema["title"] = f"Submission of {name}"
    schema["properties"]["job_type"] = {"const": name}
    payload = None if job_type is None else _payload(job_type)
    if payload is not None:
        schema["properties"]["payload"] = payload
        schema["required"] += ["payload"] if payload["required"] else []
    return schema


def _payload(job_type: JobType[..., Any]) -> dict[str, Any] | None:
    """The handler's arguments; None if pydantic has no JSON Schema for one of them."""
    try:
        return whole(job_type.form.json_schema())
    except PydanticInvalidForJsonSchema:
        return None


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    """*schema* with its references replaced by what they refer to.

    Inside an OpenAPI document the references would be dangling. Where a definition contains
    itself, the inner one is replaced by an empty schema, which allows anything.
    """
    definitions = schema.get("$defs", {})

    def resolved(part: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(part, list):
            return [resolved(each, inside) for each in part]
        if not isinstance(part, dict):
            return part
        kept = {
            name: resolved(value, inside)
            for name, value in part.items()
            if name not in ("$defs", "$ref", "discriminator")
        }
        name = str(part.get("$ref", "")).rpartition("/")[2]
        target = {} if name in ("", *inside) else resolved(definitions[name], (*inside, name))
        return {**target, **kept}

    result: dict[str, Any] = resolved(schema, ())
    return result


def _record_model(handlers: JobHandlers) -> Any:
    """The record of any of the known job types."""
    models = tuple(_typed_record(job_type) for job_type in handlers)
    return Union[models] if models else JobRecord  # noqa: UP007 - the members are known only now


def _typed_record(job_type: JobType[..., Any]) -> Any:
    """The record of one job type; its name in the document comes from the job type."""
    words = re.findall(r"[^\W_]+", job_type.name)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    fields: dict[str, Any] = {
        "job_type": (Literal[job_type.name], Field(description="The job type."))
    }
    base: Any = JobRecord[_describable(job_type.result_type)]  # type: ignore[misc]
    return create_model(f"{name}Record", __base__=base, **fields)


def _describable(annotation: Any) -> Any:
    """*annotation*, or Any if it has no JSON Schema, like a plain class of the user's own."""
    try:
        TypeAdapter(annotation).json_schema(mode="serialization")
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        return Any
    return annotation
