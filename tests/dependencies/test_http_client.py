"""An HTTP client that jobs use lives longer than the queue, or no longer than its job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from stoat_jobs import (
    AsyncioJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobResult,
    JobStatus,
    get_queue,
    lifespan,
)

from ..support import SAFETY_NET
from ..support.serving import serving

handlers = JobHandlers()

elsewhere = FastAPI()


@elsewhere.get("/hello")
async def hello() -> str:
    return "hello"


def make_client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(elsewhere)
    return httpx.AsyncClient(transport=transport, base_url="http://elsewhere")


@handlers.job
async def fetch(ctx: JobContext) -> str:
    """With the app's client."""
    ctx.app.state.job_begun.set()
    await ctx.app.state.go_on.wait()
    return str((await ctx.app.state.client.get("/hello")).json())


@handlers.job
async def fetch_alone(ctx: JobContext) -> str:
    """With a client of its own."""
    async with make_client() as client:
        return str((await client.get("/hello")).json())


@asynccontextmanager
async def client_around_queue(app: FastAPI) -> AsyncIterator[None]:
    async with make_client() as app.state.client, _running(app):
        yield


@asynccontextmanager
async def queue_around_client(app: FastAPI) -> AsyncIterator[None]:
    async with _running(app), make_client() as app.state.client:
        yield


def _running(app: FastAPI) -> Any:
    settings = JobQueueSettings(drain_timeout=SAFETY_NET)
    return lifespan(app, queue=AsyncioJobQueue(handlers, settings))


async def _fetched_while_stopping(lifespan: Any) -> JobResult[Any]:
    """The record of a job that asks for its page while the app stops."""
    app = FastAPI(lifespan=lifespan)
    app.state.job_begun, app.state.go_on = asyncio.Event(), asyncio.Event()
    stop = asyncio.Event()
    life = asyncio.create_task(_live(app, stop))
    await asyncio.wait_for(app.state.job_begun.wait(), SAFETY_NET)
    queue = get_queue(app)
    stop.set()
    while queue.started:
        await asyncio.sleep(0)
    app.state.go_on.set()
    await life
    [record] = await queue.list_jobs()
    return record


async def _live(app: FastAPI, stop: asyncio.Event) -> None:
    async with serving(app):
        await fetch.submit(get_queue(app))
        await stop.wait()


async def test_client_that_lives_longer_than_the_queue() -> None:
    """A job that is waited for at the end still has the app's client, made before the queue."""
    record = await _fetched_while_stopping(client_around_queue)
    assert (record.status, record.result) == (JobStatus.COMPLETED, "hello")


async def test_client_that_is_closed_before_the_queue() -> None:
    """A client made after the queue started is closed before it stopped, and a job finds it so."""
    record = await _fetched_while_stopping(queue_around_client)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "RuntimeError")
    assert "client has been closed" in str(record.error)


async def test_client_of_one_job() -> None:
    """A job may open a client of its own, and close it."""
    async with AsyncioJobQueue(handlers) as queue:
        assert await (await fetch_alone.submit(queue)).value(SAFETY_NET) == "hello"
