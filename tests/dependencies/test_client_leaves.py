"""A job goes on when the client of its request goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

from stoat_jobs import JobContext, JobHandlers, JobStatus, get_queue

from ..support import SAFETY_NET
from ..support.serving import app_of, ended, on_socket, serving

router = APIRouter()
handlers = JobHandlers()


@handlers.job
async def work(ctx: JobContext) -> str:
    ctx.app.state.job_begun.set()
    await ctx.app.state.go_on.wait()
    return "done"


@router.get("/stream")
async def stream(request: Request) -> StreamingResponse:
    """The same work as a job and as the stream itself."""
    ref = await work.submit(get_queue(request))
    request.app.state.job_id = ref.job_id
    return StreamingResponse(_work_in_the_stream(request.app))


async def _work_in_the_stream(app: FastAPI) -> AsyncIterator[str]:
    yield "begun\n"
    try:
        await app.state.go_on.wait()
        app.state.log.append("done")
    except asyncio.CancelledError:
        app.state.log.append("cancelled")
        raise
    finally:
        app.state.stream_ended.set()


@router.get("/background")
async def with_background_task(request: Request, background: BackgroundTasks) -> str:
    """The same work as a job and as a background task."""
    ref = await work.submit(get_queue(request))
    request.app.state.job_id = ref.job_id
    background.add_task(request.app.state.log.append, "done")
    return "begun"


@router.get("/waiting")
async def wait_for_the_job(request: Request) -> str:
    ref = await work.submit(get_queue(request))
    request.app.state.job_id = ref.job_id
    request.app.state.endpoint_waits.set()
    return await ref.value()


async def _pass_on(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    return await call_next(request)


@pytest.fixture(params=["plain", "middleware"])
def app(request: pytest.FixtureRequest) -> FastAPI:
    app = app_of(router, handlers)
    if request.param == "middleware":
        app.add_middleware(BaseHTTPMiddleware, dispatch=_pass_on)
    app.state.log = []
    app.state.stream_ended = asyncio.Event()
    app.state.endpoint_waits = asyncio.Event()
    app.state.job_begun = asyncio.Event()
    return app


async def _check_job_goes_on(app: FastAPI) -> None:
    await asyncio.wait_for(app.state.job_begun.wait(), SAFETY_NET)
    assert await get_queue(app).get_status(app.state.job_id) == JobStatus.RUNNING
    app.state.go_on.set()
    record = await ended(app, app.state.job_id)
    assert (record.status, record.result) == (JobStatus.COMPLETED, "done")


async def test_client_leaves_in_the_middle_of_a_stream(app: FastAPI) -> None:
    """On a real server, a client that leaves cuts off work in the response, not the job."""
    async with on_socket(app) as client:
        async with client.stream("GET", "/stream") as answer:
            assert await answer.aiter_lines().__anext__() == "begun"
        await asyncio.wait_for(app.state.stream_ended.wait(), SAFETY_NET)
        assert app.state.log == ["cancelled"]
        await _check_job_goes_on(app)


async def test_client_left_before_the_answer(app: FastAPI) -> None:
    """Where the answer finds no client, the background task is lost; the job goes on."""
    async with serving(app):
        with pytest.raises(OSError, match="client is gone"):
            await app(_scope("/background"), _receive, _send_to_nobody)
        await _check_job_goes_on(app)
    assert app.state.log == []


async def test_request_is_cancelled_while_it_waits_for_its_job(app: FastAPI) -> None:
    """A request that is cancelled while it waits for its job takes nothing from the job."""
    async with serving(app):
        answering = asyncio.create_task(app(_scope("/waiting"), _receive, _send_to_nobody))
        await asyncio.wait_for(app.state.endpoint_waits.wait(), SAFETY_NET)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        await _check_job_goes_on(app)


def _scope(path: str) -> dict[str, Any]:
    """A request from a server that tells of a lost client as ASGI 2.4 says: send() raises."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
    }


async def _receive() -> dict[str, str]:
    return {"type": "http.disconnect"}


async def _send_to_nobody(message: MutableMapping[str, Any]) -> None:
    raise OSError("the client is gone")
