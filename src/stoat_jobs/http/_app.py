"""The jobs as an ASGI app, for any framework that can mount one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from stoat_jobs import JobBackend

from ._access import Authorize
from ._limits import HttpLimits
from ._operations import Operations
from ._paths import routable
from ._problems import response_to
from ._routes import PLACES, Place
from ._submissions import Metadata


def jobs_app(
    *,
    queue: JobBackend | None = None,
    queue_name: str | None = None,
    authorize: Authorize | None = None,
    submittable: Iterable[str] = (),
    metadata: Metadata | None = None,
    expose_errors: bool = False,
    expose_payload: bool = False,
    limits: HttpLimits | None = None,
    trusted_origins: Iterable[str] = (),
) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """An ASGI app that serves the jobs; mount it in your application.

    In Starlette and FastAPI: ``app.mount("/jobs", jobs_app(), name="jobs")``. The how-to shows
    other frameworks.

    Without *authorize*, everyone who knows the random id of a job may read it, wait for it and
    follow it, and nothing else is allowed.

    Args:
        queue: the queue; by default the one that :func:`stoat_jobs.get_queue` finds in the
            request, which is the queue of the outer app.
        queue_name: the name of the queue, if the app has several: ``"io"`` for the one that
            ``lifespan(app, ..., name="io")`` started.
        authorize: an async function that decides about each request, and once more when a stream
            begins. It is called with an :class:`AccessRequest`. It returns True to allow, False
            to refuse, or items of metadata, as in ``{"user": "ada"}``, to allow it only with the
            jobs whose metadata has them. It raises Starlette's ``HTTPException`` to choose the
            answer; a 404 about one job gets the same answer as an unknown id. ``allow_all`` lets
            everyone do everything.
        submittable: the job types that clients may submit; none by default.
        metadata: an async function that returns the metadata for a job that *request* submits,
            such as the user, so that *authorize* finds it on the record. Items that *authorize*
            returned are added, and win.
        expose_errors: show clients the text of errors, which comes from the handlers and may
            contain secrets; by default ``error`` is only ``error_type``.
        expose_payload: show clients the payload of jobs whose type has ``keep_payload``; by
            default ``payload`` is None.
        limits: limits for clients; by default those of :class:`HttpLimits`.
        trusted_origins: other sites, as in ``"https://app.example.com"``, whose pages may submit
            and cancel jobs from a browser; by default only pages of the jobs' own site may.
    """
    return _JobsApp(
        Operations(
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
    )


class _JobsApp:
    def __init__(self, operations: Operations) -> None:
        # Not a Starlette app: that would replace the outer app in the request's scope.
        self._router = Router(_routes(operations), redirect_slashes=False)

    @property
    def routes(self) -> list[BaseRoute]:
        """For ``request.url_for("jobs:read", job_id=...)``, if the mount is named "jobs"."""
        return self._router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            await self._answer(routable(scope), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:  # from the router: there is no such route or method
            answer = response_to(error) or Response(status_code=error.status_code)
            await answer(scope, receive, send)


def _routes(operations: Operations) -> list[Route]:
    paths: dict[str, dict[str, Place]] = {}
    for place in PLACES:
        paths.setdefault(place.path, {})[place.method] = place
    return [_route(operations, places) for places in paths.values()]


def _route(operations: Operations, places: Mapping[str, Place]) -> Route:
    """One path with all its methods, so that a 405 response names all of them."""

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operate = getattr(operations, places[method].operation)
        # Only its own: the path of the mount may have parameters too.
        own = {name: request.path_params[name] for name in route.param_convertors}
        response: Response = await operate(request, **own)
        return response

    first = next(iter(places.values()))
    route = Route(first.path, endpoint, methods=list(places), name=first.operation)
    return route


async def _live(receive: Receive, send: Send) -> None:
    """Answer the lifespan protocol; this app has nothing to start or stop."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
