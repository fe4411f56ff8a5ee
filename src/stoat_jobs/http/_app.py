"""The jobs as an ASGI app, for any framework that mounts one."""

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
from ._operations import Metadata, Operations
from ._paths import routable
from ._problems import response_to
from ._routes import PLACES, Place


def jobs_app(
    *,
    queue: JobBackend | None = None,
    queue_name: str | None = None,
    authorize: Authorize | None = None,
    submittable: Iterable[str] = (),
    metadata: Metadata | None = None,
    expose_errors: bool = False,
    limits: HttpLimits | None = None,
    trusted_origins: Iterable[str] = (),
) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """An ASGI app with the jobs, to be mounted.

    ``app.mount("/jobs", jobs_app(), name="jobs")`` in Starlette and FastAPI; the how-to has it
    for others.

    Without *authorize*, whoever knows the random id of a job may read it, wait for it and
    follow it, and nothing else is open.

    Args:
        queue: the queue; by default the one that :func:`stoat_jobs.get_queue` finds in the
            request, which is that of the outer app.
        queue_name: of several queues on one app the name of the one to serve: ``"io"`` for
            what ``lifespan(app, ..., name="io")`` started.
        authorize: an async function that is asked about every request, with the request, the
            :class:`Operation` and the job's record, and once more when a stream begins. The
            record is None where the request is about no one job, and where nobody knows the job.
            It gives False to refuse, or raises Starlette's ``HTTPException`` for an answer of its
            own; a 404 about one job is answered as an unknown id is. ``allow_all`` lets everybody
            do everything.
        submittable: the job types that clients may submit; none by default.
        metadata: an async function that gives the metadata of a job that *request* submits:
            who asked, so that *authorize* finds it on the record.
        expose_errors: show clients the text of errors, which is the handlers' own and may hold
            secrets; by default ``error`` is ``error_type``.
        limits: what clients may ask at once; the defaults without it.
        trusted_origins: sites, as in ``"https://app.example.com"``, whose pages may have a browser
            submit and cancel here; without it only pages of the site that the jobs are on.
    """
    return _JobsApp(
        Operations(
            queue=queue,
            queue_name=queue_name,
            authorize=authorize,
            submittable=submittable,
            metadata=metadata,
            expose_errors=expose_errors,
            limits=limits or HttpLimits(),
            trusted_origins=trusted_origins,
        )
    )


class _JobsApp:
    def __init__(self, operations: Operations) -> None:
        # No Starlette: that would put itself where the outer app is found in a request.
        self._router = Router(_routes(operations), redirect_slashes=False)

    @property
    def routes(self) -> list[BaseRoute]:
        """For ``request.url_for("jobs:read", job_id=...)`` where the mount is named "jobs"."""
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
        except HTTPException as error:  # of the router: there is no such route or method
            answer = response_to(error) or Response(status_code=error.status_code)
            await answer(scope, receive, send)


def _routes(operations: Operations) -> list[Route]:
    paths: dict[str, dict[str, Place]] = {}
    for place in PLACES:
        paths.setdefault(place.path, {})[place.method] = place
    return [_route(operations, places) for places in paths.values()]


def _route(operations: Operations, places: Mapping[str, Place]) -> Route:
    """One path, with all its methods: else an answer 405 would name the first alone."""

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operate = getattr(operations, places[method].operation)
        # Its own alone: what the app is mounted at may have parameters too.
        own = {name: request.path_params[name] for name in route.param_convertors}
        response: Response = await operate(request, **own)
        return response

    first = next(iter(places.values()))
    route = Route(first.path, endpoint, methods=list(places), name=first.operation)
    return route


async def _live(receive: Receive, send: Send) -> None:
    """Speak the lifespan protocol, of which nothing is needed here."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
