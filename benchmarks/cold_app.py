"""A small app whose first request starts a job: what a cold process imports and starts."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stoat_jobs import JobContext, JobHandlers, get_queue, lifespan

handlers = JobHandlers()


@handlers.job
async def report(ctx: JobContext, name: str) -> int:
    return len(name)


async def start(request: Request) -> JSONResponse:
    job_id = await get_queue(request).submit("report", {"name": "annual"})
    return JSONResponse({"job_id": job_id}, status_code=202)


app = Starlette(
    routes=[Route("/", start, methods=["POST"])], lifespan=partial(lifespan, handlers=handlers)
)


def first_status() -> int:
    """Start the app, send one request, and return the status of its answer."""
    return asyncio.run(_first_status())


async def _first_status() -> int:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.set_result(message["status"])

    async with app.router.lifespan_context(app) as state:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        await app({**scope, "state": state}, receive, send)
        return await answer
