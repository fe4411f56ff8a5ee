"""Endpoints that are plain functions run in threads: what they may do, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.from_thread
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    get_queue,
    lifespan,
)

handlers = JobHandlers()


@handlers.job
async def double(ctx: JobContext, n: int) -> int:
    return 2 * n


def on_fastapi(endpoint: Callable[[Any], Any], queue: Any) -> Any:
    app = FastAPI(lifespan=partial(lifespan, queue=queue))

    @app.get("/")
    def read(request: Request) -> Any:
        return endpoint(request)

    return app


def on_starlette(endpoint: Callable[[Any], Any], queue: Any) -> Any:
    def read(request: Any) -> JSONResponse:
        return JSONResponse(endpoint(request))

    return Starlette(lifespan=partial(lifespan, queue=queue), routes=[Route("/", read)])


APPS = pytest.mark.parametrize("make", [on_fastapi, on_starlette])
QUEUES = pytest.mark.parametrize("queue_class", [AsyncioJobQueue, InMemoryJobQueue])


@APPS
@QUEUES
def test_the_way_that_the_error_names_works(make: Any, queue_class: Any) -> None:
    """A `def` endpoint finds the queue, and `anyio.from_thread.run` submits and waits for it."""

    def endpoint(request: Any) -> Any:
        queue = get_queue(request)
        ref = anyio.from_thread.run(partial(double.submit, queue, n=21))
        job_id = anyio.from_thread.run(queue.submit, "double", {"n": 4})
        return [anyio.from_thread.run(ref.value), anyio.from_thread.run(queue.wait, job_id).result]

    with TestClient(make(endpoint, queue_class(handlers))) as client:
        assert client.get("/").json() == [42, 8]


def in_a_loop_of_its_own(queue: Any) -> None:
    asyncio.run(double.submit(queue, n=1))


def by_its_name(queue: Any) -> None:
    asyncio.run(queue.submit("double", {"n": 1}))


def by_hand(queue: Any) -> None:
    queue.submit("double", {"n": 1}).send(None)


@APPS
@QUEUES
@pytest.mark.parametrize("act", [in_a_loop_of_its_own, by_its_name, by_hand])
def test_a_submit_from_a_thread_names_what_a_sync_endpoint_has(
    make: Any, queue_class: Any, act: Callable[[Any], None]
) -> None:
    """Outside the queue's event loop the error names `anyio.from_thread.run`, and nothing is queued."""
    queue = queue_class(handlers)
    with TestClient(make(lambda request: act(get_queue(request)), queue)) as client:
        with pytest.raises(RuntimeError, match=r"anyio\.from_thread\.run\(queue\.submit, \.\.\.\)"):
            client.get("/")
        assert asyncio.run(queue.list_jobs()) == []


@pytest.mark.parametrize("method", ["wait", "cancel"])
def test_what_else_needs_the_loop_says_so_too(method: str) -> None:
    """The other methods name themselves in the same remedy."""
    queue = AsyncioJobQueue()

    async def held(ctx: JobContext) -> None:
        await asyncio.Event().wait()

    queue.handlers.register("held", held)

    def endpoint(request: Any) -> None:
        ref = anyio.from_thread.run(queue.submit, "held")
        try:
            asyncio.run(getattr(queue, method)(ref))
        finally:
            anyio.from_thread.run(queue.cancel, ref)

    with TestClient(on_starlette(endpoint, queue)) as client:
        with pytest.raises(RuntimeError, match=rf"anyio\.from_thread\.run\(queue\.{method}, "):
            client.get("/")
