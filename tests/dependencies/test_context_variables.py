"""A job sees the context variables of the request that submitted it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

from stoat_jobs import JobContext, JobHandlers, JobStatus, get_queue

from ..support import SAFETY_NET, notes
from ..support.serving import app_of, ended, serving

router = APIRouter()
handlers = JobHandlers()

request_id: ContextVar[str] = ContextVar("request_id", default="none")
connection: ContextVar[sqlite3.Connection] = ContextVar("connection")

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


@handlers.job
async def tell(ctx: JobContext) -> str:
    """The request id, once all requests are over; another one is left behind."""
    await ctx.app.state.go_on.wait()
    seen = request_id.get()
    request_id.set("a job's own")
    return seen


@handlers.job
def tell_in_thread(ctx: JobContext) -> str:
    """The same in a thread."""
    ctx.from_thread(ctx.app.state.go_on.wait)
    seen = request_id.get()
    request_id.set("a job's own")
    return seen


@handlers.job
async def read_with_the_requests(ctx: JobContext) -> str:
    """Uses the connection that the request left in a context variable."""
    await ctx.app.state.go_on.wait()
    return notes.read(connection.get(), 1)


async def identified(x_request_id: Annotated[str, Header()]) -> AsyncIterator[None]:
    """A dependency that names the request, and takes the name back."""
    token = request_id.set(x_request_id)
    yield
    request_id.reset(token)


async def connected(request: Request) -> AsyncIterator[None]:
    """A dependency that keeps the request's connection in a context variable."""
    opened = notes.connect(request.app.state.database)
    token = connection.set(opened)
    yield
    connection.reset(token)
    opened.close()


class Identifying:
    """The same as plain ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        token = request_id.set(dict(scope.get("headers", {})).get(b"x-request-id", b"").decode())
        await self.app(scope, receive, send)
        request_id.reset(token)


async def identify(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """The same as Starlette's middleware."""
    token = request_id.set(request.headers["x-request-id"])
    answer = await call_next(request)
    request_id.reset(token)
    return answer


@router.post("/jobs/{job_type}")
async def submit(request: Request, job_type: str) -> str:
    return await get_queue(request).submit(job_type, {})


@router.post("/identified/{job_type}", dependencies=[Depends(identified)])
async def submit_identified(request: Request, job_type: str) -> str:
    return await get_queue(request).submit(job_type, {})


@router.post("/connected", dependencies=[Depends(connected)])
async def submit_connected(request: Request) -> str:
    assert notes.read(connection.get(), 1) == "milk"
    return (await read_with_the_requests.submit(get_queue(request))).job_id


@router.post("/home-made", dependencies=[Depends(identified)])
async def give_to_a_worker(request: Request) -> None:
    """What people write without a job queue: a worker that the first request starts."""
    state = request.app.state
    if not hasattr(state, "worker"):
        state.inbox, state.seen = asyncio.Queue(), []
        state.worker = asyncio.create_task(_work(state))
    state.inbox.put_nowait("some work")


async def _work(state: Any) -> None:
    while await state.inbox.get():
        state.seen.append(request_id.get())


def with_dependency(app: FastAPI) -> str:
    return "/identified"


def with_asgi_middleware(app: FastAPI) -> str:
    app.add_middleware(Identifying)
    return "/jobs"


def with_http_middleware(app: FastAPI) -> str:
    app.add_middleware(BaseHTTPMiddleware, dispatch=identify)
    return "/jobs"


@pytest.fixture
def app() -> FastAPI:
    return app_of(router, handlers)


@pytest.mark.parametrize("job_type", ["tell", "tell_in_thread"])
@pytest.mark.parametrize(
    "identifying", [with_dependency, with_asgi_middleware, with_http_middleware]
)
async def test_each_job_has_its_own_requests_id(
    app: FastAPI, identifying: Callable[[FastAPI], str], job_type: str
) -> None:
    """A job sees its own request's id after the request took it back, and no other job's."""
    path = f"{identifying(app)}/{job_type}"
    async with serving(app) as client:
        answers = [await client.post(path, headers={"x-request-id": name}) for name in "abc"]
        app.state.go_on.set()
        records = [await ended(app, answer.json()) for answer in answers]
        assert [record.result for record in records] == ["a", "b", "c"]
        assert request_id.get() == "none"


async def test_home_made_worker_keeps_the_first_requests_id(app: FastAPI) -> None:
    """A worker task of one's own sees the id of the request that started it for ever."""
    async with serving(app) as client:
        for name in "abc":
            await client.post("/home-made", headers={"x-request-id": name})
        app.state.inbox.put_nowait("")
        await asyncio.wait_for(app.state.worker, SAFETY_NET)
    assert app.state.seen == ["a", "a", "a"]


async def test_context_variable_keeps_nothing_open(app: FastAPI, database: Path) -> None:
    """A connection in a context variable is handed on to the job, and is closed like any other."""
    app.state.database = database
    async with serving(app) as client:
        answer = await client.post("/connected")
        app.state.go_on.set()
        record = await ended(app, answer.json())
    assert (record.status, record.error_type) == (JobStatus.FAILED, "ProgrammingError")
    assert "closed database" in str(record.error)
