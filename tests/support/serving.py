"""Serve an app in this event loop, with and without a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import uvicorn
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI

from stoat_jobs import (
    AsyncioJobQueue,
    JobHandlers,
    JobQueueSettings,
    JobResult,
    get_queue,
    lifespan,
)

# A test that hangs fails; it never waits this long otherwise.
SAFETY_NET = 30.0


def app_of(router: APIRouter, handlers: JobHandlers) -> FastAPI:
    """An app with these endpoints, a queue of these handlers, and an event for tests to set."""
    patient = JobQueueSettings(cancel_grace=SAFETY_NET, drain_timeout=SAFETY_NET)
    app = FastAPI(lifespan=partial(lifespan, queue=AsyncioJobQueue(handlers, patient)))
    app.include_router(router)
    app.state.go_on = asyncio.Event()
    return app


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app*; an answer comes when the app is through with the request."""
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


@asynccontextmanager
async def on_socket(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app*, which a real uvicorn serves on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, lifespan="on", ws="none", log_config=None)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        url = "http://{}:{}".format(*listening.getsockname())
        try:
            async with httpx.AsyncClient(base_url=url, timeout=SAFETY_NET) as client:
                yield client
        finally:
            server.should_exit = True
            await task


async def ended(app: Any, job_id: str) -> JobResult[Any]:
    """The record of a job, once it has ended."""
    return await get_queue(app).wait(job_id, SAFETY_NET)
