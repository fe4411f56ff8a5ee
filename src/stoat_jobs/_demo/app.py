"""The demo's web app: ``POST /scan`` answers at once, and clients can follow the job."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from stoat_jobs import JobQueueSettings, get_queue, lifespan
from stoat_jobs.http import accepted, allow_all, jobs_app

from ..http._origins import Origins
from ..http._problems import ProblemError
from .jobs import SUBMITTABLE, demo_handlers

HOST = "127.0.0.1"
SETTINGS = JobQueueSettings(backend="asyncio", concurrency=4, drain_timeout=2.0)


def create_app(
    root: Path, settings: JobQueueSettings = SETTINGS, held_at: float = math.inf
) -> Starlette:
    """Create the app that scans *root*, but goes no further than *held_at*, a fraction."""
    # Everyone on this machine may do everything. A web page in a browser here may not: its POST
    # requests are refused, and so are requests under another host name (DNS rebinding).
    jobs = jobs_app(authorize=allow_all, submittable=SUBMITTABLE, expose_errors=True)
    return Starlette(
        lifespan=partial(lifespan, handlers=demo_handlers(root, held_at), settings=settings),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        routes=[
            Route("/scan", start_scan, methods=["POST"]),
            Mount("/jobs", jobs, name="jobs"),
            Route("/ping", ping),
        ],
    )


_OWN_PAGES = Origins(())


async def start_scan(request: Request) -> Response:
    """Submit a scan, unless one is running, and answer at once."""
    try:
        _OWN_PAGES.check(request)
    except ProblemError as problem:
        return problem.response()
    return accepted(request, await get_queue(request).submit("scan", key="scan"))


async def ping(request: Request) -> Response:
    """Answer, as other endpoints must while a job runs."""
    return PlainTextResponse("pong")
