"""The jobs as a FastAPI router: the same operations, with types in the OpenAPI document."""

# No `from __future__ import annotations` here: FastAPI reads annotations of nested functions.

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.requests import HTTPConnection

from stoat_jobs import JobBackend, JobHandlers, get_queue

from ._access import Authorize
from ._limits import HttpLimits
from ._openapi import Document
from ._operations import Operations
from ._routes import PLACES, Place, methods_of
from ._submissions import Metadata
from ._unknown_routes import UnknownPath, route_class, unknown_path


async def _job_queue(connection: HTTPConnection) -> JobBackend:
    return get_queue(connection)


def queue_named(name: str) -> Callable[[HTTPConnection], Coroutine[Any, Any, JobBackend]]:
    """A FastAPI dependency for the queue that ``lifespan(app, ..., name=name)`` started.

    For an app with several queues: ``IoQueue = Annotated[JobBackend, Depends(queue_named("io"))]``,
    then ``queue: IoQueue``. For the queue without a name, use :data:`JobQueueDep`.
    """

    async def job_queue(connection: HTTPConnection) -> JobBackend:
        return get_queue(connection, name)

    return job_queue


JobQueueDep = Annotated[JobBackend, Depends(_job_queue)]
"""The queue that serves a request or a websocket, as an annotation: ``queue: JobQueueDep``."""


def jobs_router(
    *,
    handlers: JobHandlers | None = None,
    queue: JobBackend | None = None,
    queue_name: str | None = None,
    authorize: Authorize | None = None,
    submittable: Iterable[str] = (),
    metadata: Metadata | None = None,
    expose_errors: bool = False,
    expose_payload: bool = False,
    limits: HttpLimits | None = None,
    trusted_origins: Iterable[str] = (),
    name: str = "jobs",
) -> APIRouter:
    """A FastAPI router that serves the jobs: ``app.include_router(jobs_router(), prefix="/jobs")``.

    It does the same as :func:`jobs_app`, and the application's OpenAPI document includes it.
    Operations that are closed because there is no *authorize* are left out there.

    *handlers* are the job types whose arguments and results the document describes. *name* is the
    prefix of the routes' names, as in ``request.url_for("jobs:read", job_id=...)``. The other
    arguments are those of :func:`jobs_app`.
    """
    operations = Operations(
        queue=queue,
        queue_name=queue_name,
        authorize=authorize,
        submittable=submittable,
        metadata=metadata,
        expose_errors=expose_errors,
        expose_payload=expose_payload,
        limits=limits or HttpLimits(),
        trusted_origins=trusted_origins,
    )
    router = APIRouter(tags=["jobs"])
    document = Document(operations, handlers)
    for place in PLACES:
        endpoint = _endpoint(place, getattr(operations, place.operation))
        add_route = partial(
            router.add_api_route,
            place.path,
            endpoint,
            name=f"{name}:{place.operation}",
            route_class_override=route_class(methods_of(place.path)),
        )
        add_route(
            methods=[place.method],
            summary=place.operation.replace("_", " ").capitalize(),
            include_in_schema=place.operation in operations.offered,
            **document.described(place),
        )
        if place.method == "GET":  # FastAPI, unlike Starlette, does not add HEAD
            add_route(methods=["HEAD"], include_in_schema=False)
    router.add_api_route(
        "/{path:path}", unknown_path, include_in_schema=False, route_class_override=UnknownPath
    )
    return router


def _endpoint(place: Place, operate: Any) -> Any:
    async def about_one(request: Request, job_id: str) -> Response:
        response: Response = await operate(request, job_id)
        return response

    async def about_all(request: Request) -> Response:
        response: Response = await operate(request)
        return response

    async def part_of_page(request: Request, name: str) -> Response:
        response: Response = await operate(request, name)
        return response

    endpoint = about_one if place.has_id else part_of_page if "{name}" in place.path else about_all
    endpoint.__doc__ = operate.__doc__
    return endpoint
