"""The apps that the tests have a real server run; this file is imported by the server alone."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, lifespan

handlers = JobHandlers()
settings = JobQueueSettings(concurrency=4, drain_timeout=0.2, cancel_grace=0.2)


@handlers.job
async def quick(ctx: JobContext) -> str:
    return "done"


@handlers.job
async def patient(ctx: JobContext) -> None:
    """Waits until it is told to stop, and stops."""
    await asyncio.Event().wait()


@handlers.job
async def deaf(ctx: JobContext) -> None:
    """Swallows every cancellation."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


@handlers.job
def busy(ctx: JobContext) -> None:
    """Works in a thread, and looks now and then whether it is to stop."""
    block = bytes(1 << 20)
    while True:
        ctx.raise_if_cancelled()
        hashlib.sha256(block).digest()


@handlers.job
def stuck(ctx: JobContext) -> None:
    """Blocks its thread for ever."""
    threading.Event().wait()


async def submit(request: Request) -> Response:
    job_id = await request.app.state.job_queue.submit(request.path_params["job_type"])
    return PlainTextResponse(job_id, status_code=202)


async def wait(request: Request) -> Response:
    logging.getLogger("served").info("request_held")
    record = await request.app.state.job_queue.wait(request.path_params["job_id"])
    return PlainTextResponse(record.status)


with_queue = Starlette(
    lifespan=partial(lifespan, handlers=handlers, settings=settings),
    routes=[
        Route("/submit/{job_type}", submit, methods=["POST"]),
        Route("/wait/{job_id}", wait),
    ],
)

without_queue = Starlette()
