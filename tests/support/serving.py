"""Apps that are served in this event loop, with and without a socket."""

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

from . import SAFETY_NET


def patient_queue(handlers: JobHandlers) -> AsyncioJobQueue:
    """A queue that no slow machine drives to finish a job before its handler has returned."""
    settings = JobQueueSettings(cancel_grace=SAFETY_NET, drain_timeout=SAFETY_NET)
    return AsyncioJobQueue(handlers, settings)


def app_of(router: APIRouter, handlers: JobHandlers) -> FastAPI:
    """An app with these endpoints, a queue of these handlers, and an event for tests to set."""
    app = FastAPI(lifespan=partial(lifespan, queue=patient_queue(handlers)))
    app.include_router(router)
    app.state.go_on = asyncio.Event()
    return app


def calling(app: Any) -> httpx.AsyncClient:
    """A client that calls *app* and runs no lifespan; an answer comes when the app has returned."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app*, which is started and stopped as a server does."""
    async with (
        LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager,
        calling(manager.app) as client,
    ):
        yield client


@asynccontextmanager
async def on_socket(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app*, which a real uvicorn serves on a port of its own.

    The client opens as many connections as it is asked for, and closes them all.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", ws="none", log_config=None))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with httpx.AsyncClient(
                base_url="http://{}:{}".format(*listening.getsockname()),
                timeout=SAFETY_NET,
                limits=httpx.Limits(max_connections=None),
                trust_env=False,
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await task


async def ended(app: Any, job_id: str) -> JobResult[Any]:
    """The record of a job, once it has finished."""
    return await get_queue(app).wait(job_id, SAFETY_NET)
