"""The demo's web app: it takes a scan, answers at once, and tells how it goes."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stoat_jobs import (
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    lifespan,
)

from .scan import ScanReport, scan_directory

SETTINGS = JobQueueSettings(backend="asyncio", drain_timeout=2.0)


def scan_handlers(root: Path) -> JobHandlers:
    """The one job type of the demo, ``scan``.

    The directory is the server's, not the client's, to choose: else everybody who reaches the
    port could have any file read.
    """
    handlers = JobHandlers()

    @handlers.job(timeout=math.inf)
    def scan(ctx: JobContext) -> ScanReport:
        return scan_directory(ctx, root)

    return handlers


def create_app(root: Path) -> Starlette:
    """The app that scans *root*."""
    return Starlette(
        lifespan=partial(lifespan, handlers=scan_handlers(root), settings=SETTINGS),
        routes=[
            Route("/scan", start_scan, methods=["POST"]),
            Route("/jobs/{job_id}", read_job, methods=["GET"]),
            Route("/jobs/{job_id}", cancel_job, methods=["DELETE"]),
            Route("/ping", ping),
        ],
        exception_handlers={JobNotFoundError: not_found},
    )


async def start_scan(request: Request) -> Response:
    """Submit a scan, or find the one that runs, and answer at once."""
    job_id = await _queue(request).submit("scan", key="scan")
    place = str(request.url_for("read_job", job_id=job_id))
    return JSONResponse({"job_id": job_id}, status_code=202, headers={"location": place})


async def read_job(request: Request) -> Response:
    """The job's record."""
    record = await _queue(request).get_result(request.path_params["job_id"])
    return Response(record.model_dump_json(), media_type="application/json")


async def cancel_job(request: Request) -> Response:
    """Ask the job to stop."""
    cancelled = await _queue(request).cancel(request.path_params["job_id"])
    return JSONResponse({"cancelled": cancelled})


async def ping(request: Request) -> Response:
    """Answer, as any other endpoint of a busy app should."""
    return PlainTextResponse("pong")


async def not_found(request: Request, error: Exception) -> Response:
    """404, with the error's own text."""
    return JSONResponse({"detail": str(error)}, status_code=404)


def _queue(request: Request) -> JobBackend:
    queue: JobBackend = request.state.job_queue
    return queue
