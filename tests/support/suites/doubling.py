"""What all of these tests need: an app, its jobs, and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, Request

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    get_queue,
    lifespan,
)

KINDS = [AsyncioJobQueue, InMemoryJobQueue]

handlers = JobHandlers()


@handlers.job
async def double(ctx: JobContext, n: int) -> int:
    return 2 * n


@handlers.job
def double_in_thread(ctx: JobContext, n: int) -> int:
    return 2 * n


async def doubled(queue: JobBackend, job_type: Any = double) -> Any:
    return await (await job_type.submit(queue, n=21)).value()


def create_app() -> FastAPI:
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers))

    @app.post("/double")
    async def start(request: Request) -> int:
        value: int = await doubled(get_queue(request))
        return value

    return app


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
