"""The jobs as a router of FastAPI: the same operations, with types in the OpenAPI document."""

# No annotations as text here: FastAPI reads those of functions inside functions.

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union

from fastapi import APIRouter, Depends, Request, Response
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from stoat_jobs import JobBackend, JobHandlers, JobType, QueueStats, get_queue

from ._access import Authorize
from ._events import EventStream
from ._limits import HttpLimits
from ._operations import Metadata, Operations
from ._problems import MEDIA_TYPE, ProblemDocument
from ._records import JobRecord
from ._requests import Submission
from ._routes import PLACES, Place


async def _job_queue(connection: HTTPConnection) -> JobBackend:
    return get_queue(connection)


JobQueueDep = Annotated[JobBackend, Depends(_job_queue)]
"""The queue that serves a request or a websocket, as an annotation: ``queue: JobQueueDep``."""


def jobs_router(
    *,
    handlers: JobHandlers | None = None,
    queue: JobBackend | None = None,
    authorize: Authorize | None = None,
    submittable: Iterable[str] = (),
    metadata: Metadata | None = None,
    expose_errors: bool = False,
    limits: HttpLimits | None = None,
    name: str = "jobs",
) -> APIRouter:
    """The jobs as a router: ``app.include_router(jobs_router(), prefix="/jobs")``.

    It does what :func:`jobs_app` does, of which the other arguments are, and stands in the
    application's OpenAPI document; what is closed, because there is no *authorize*, does not.

    *handlers* are the job types whose results the document is to describe. *name* begins the
    names of the routes, as in ``request.url_for("jobs:read", job_id=...)``.
    """
    operations = Operations(
        queue=queue,
        authorize=authorize,
        submittable=submittable,
        metadata=metadata,
        expose_errors=expose_errors,
        limits=limits or HttpLimits(),
    )
    router = APIRouter(tags=["jobs"])
    models = _Models(operations, handlers)
    for place in PLACES:
        router.add_api_route(
            place.path,
            _endpoint(place, getattr(operations, place.operation)),
            methods=[place.method],
            name=f"{name}:{place.operation}",
            summary=place.operation.capitalize(),
            include_in_schema=place.operation in operations.offered,
            **models.described(place),
        )
    return router


def _endpoint(place: Place, operate: Any) -> Any:
    async def about_one(request: Request, job_id: str) -> Response:
        response: Response = await operate(request, job_id)
        return response

    async def about_all(request: Request) -> Response:
        response: Response = await operate(request)
        return response

    endpoint = about_one if place.has_id else about_all
    endpoint.__doc__ = operate.__doc__
    return endpoint


class _Models:
    """What the OpenAPI document says of each place."""

    def __init__(self, operations: Operations, handlers: JobHandlers | None) -> None:
        self._record = _record_model(handlers)
        self._submittable = operations.submittable
        forms = operations.forms
        self._queries = {"list": forms.ListQuery, "wait": forms.WaitQuery}
        self._classes = {"events": EventStream, "health": Response}

    def described(self, place: Place) -> dict[str, Any]:
        """Arguments of ``add_api_route``."""
        first, *others = place.answers.items()
        return {
            "status_code": first[0],
            "response_description": first[1],
            "response_model": self._answer_model(place),
            "response_class": self._classes.get(place.operation, JSONResponse),
            "responses": self._other_answers(place, dict(others)),
            "openapi_extra": self._request(place),
        }

    def _answer_model(self, place: Place) -> Any:
        if place.operation in self._classes:
            return None
        return {"list": list[self._record], "stats": QueueStats}.get(place.operation, self._record)  # type: ignore[name-defined]

    def _other_answers(self, place: Place, answers: dict[int, str]) -> dict[int | str, Any]:
        described: dict[int | str, Any] = {
            status: {"description": description} for status, description in answers.items()
        }
        if 202 in described:
            described[202]["model"] = self._record
        for status in place.problems:
            described[int(status)] = _problem(status.phrase)
        return {**described, "default": _problem("Whatever else is wrong.")}

    def _request(self, place: Place) -> dict[str, Any]:
        if place.operation == "submit":
            return {"requestBody": {"required": True, "content": self._submission()}}
        query = self._queries.get(place.operation)
        return {} if query is None else {"parameters": _parameters(query)}

    def _submission(self) -> dict[str, Any]:
        schema = Submission.model_json_schema()
        schema["properties"]["job_type"]["enum"] = sorted(self._submittable)
        return {"application/json": {"schema": schema}}


def _problem(description: str) -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema()
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def _parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of *query* as OpenAPI has parameters."""
    return [
        {"name": name, "in": "query", "required": False, "schema": _schema(field)}
        for name, field in query.model_fields.items()
    ]


def _schema(field: FieldInfo) -> dict[str, Any]:
    """The schema of one parameter, whole: a reference would lead nowhere in there."""
    annotation: Any = Annotated[field.annotation, field]
    schema = TypeAdapter(annotation).json_schema()
    kinds = schema.pop("$defs", {})
    kind = kinds.get(schema.pop("$ref", "").rpartition("/")[2], {})
    if field.default is None:
        del schema["default"]
    return {**kind, **schema}


def _record_model(handlers: JobHandlers | None) -> Any:
    """The record of any of the job types that are known."""
    models = tuple(_typed_record(job_type) for job_type in handlers or ())
    return Union[models] if models else JobRecord  # noqa: UP007 - the members are known only now


def _typed_record(job_type: JobType[..., Any]) -> Any:
    """The record of one job type; the document names it after that."""
    words = re.findall(r"[^\W_]+", job_type.name)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    fields: dict[str, Any] = {
        "job_type": (Literal[job_type.name], Field(description="The job type."))
    }
    base: Any = JobRecord[_describable(job_type.result_type)]  # type: ignore[misc]
    return create_model(f"{name}Record", __base__=base, **fields)


def _describable(annotation: Any) -> Any:
    """*annotation*, or Any where it has no JSON Schema, as a class of the user's own."""
    try:
        TypeAdapter(annotation).json_schema(mode="serialization")
    except Exception:
        return Any
    return annotation
