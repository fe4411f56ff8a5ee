"""The demo's web app: it takes a scan, answers at once, and its jobs can be followed."""

from __future__ import annotations

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
from .jobs import TO_PLAY_WITH, demo_handlers

HOST = "127.0.0.1"
SETTINGS = JobQueueSettings(backend="asyncio", concurrency=4, drain_timeout=2.0)


def create_app(root: Path) -> Starlette:
    """The app that scans *root*."""
    # Everybody on this machine may do everything. A page of the web in its browser may not: what it
    # posts is refused, and it cannot come under a name of its own.
    jobs = jobs_app(authorize=allow_all, submittable=TO_PLAY_WITH, expose_errors=True)
    return Starlette(
        lifespan=partial(lifespan, handlers=demo_handlers(root), settings=SETTINGS),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        routes=[
            Route("/scan", start_scan, methods=["POST"]),
            Mount("/jobs", jobs, name="jobs"),
            Route("/ping", ping),
        ],
    )


_OWN_PAGES = Origins(())


async def start_scan(request: Request) -> Response:
    """Submit a scan, or find the one that runs, and answer at once."""
    try:
        _OWN_PAGES.check(request)
    except ProblemError as problem:
        return problem.response()
    return accepted(request, await get_queue(request).submit("scan", key="scan"))


async def ping(request: Request) -> Response:
    """Answer, as any other endpoint of a busy app should."""
    return PlainTextResponse("pong")
