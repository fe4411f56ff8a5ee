"""What was made in the app's event loop is used in that event loop."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter, FastAPI, Request

from stoat_jobs import JobContext, JobHandlers, JobStatus, get_queue

from ..support import SAFETY_NET, notes
from ..support.serving import app_of, on_socket, serving
from .conftest import Sessions

router = APIRouter()
handlers = JobHandlers()


@handlers.job
def fetch(ctx: JobContext) -> str:
    """Uses the app's client in the app's event loop."""
    return str(ctx.from_thread(ctx.app.state.client.get, "/hello").json())


@handlers.job
def fetch_in_a_loop_of_its_own(ctx: JobContext) -> str:
    """Uses the app's client, whose one connection is idle, in another event loop."""

    async def get() -> str:
        return str((await ctx.app.state.client.get("/hello/held")).json())

    try:
        return asyncio.run(get())
    finally:
        ctx.from_thread(_let_go, ctx.app)


async def _let_go(app: FastAPI) -> None:
    app.state.go_on.set()


@handlers.job
def read(ctx: JobContext) -> list[str]:
    """Uses the app's engine in the app's event loop."""
    return ctx.from_thread(_texts, ctx.app)


async def _texts(app: FastAPI) -> list[str]:
    app.state.loops.append(asyncio.get_running_loop())
    async with app.state.sessions() as session:
        return [await notes.read_async(session, 1)]


@router.get("/hello")
async def hello() -> str:
    return "hello"


@router.get("/hello/held")
async def hello_held(request: Request) -> str:
    await request.app.state.go_on.wait()
    return "hello"


@pytest.fixture
def app() -> FastAPI:
    return app_of(router, handlers)


async def test_client_of_the_app_in_a_thread(app: FastAPI) -> None:
    """A thread uses the app's client through from_thread; in a loop of its own it would fail."""
    async with on_socket(app) as client:
        app.state.client = client
        assert (await client.get("/hello")).json() == "hello"
        queue = get_queue(app)
        unsafe = await (await fetch_in_a_loop_of_its_own.submit(queue)).wait(SAFETY_NET)
        assert (unsafe.status, unsafe.error_type) == (JobStatus.FAILED, "RuntimeError")
        assert "event loop" in str(unsafe.error)
        assert await (await fetch.submit(queue)).value(SAFETY_NET) == "hello"


async def test_engine_of_the_app_in_a_thread(app: FastAPI, sessions: Sessions) -> None:
    """A thread uses the app's asynchronous engine through from_thread, in the app's loop."""
    app.state.sessions, app.state.loops = sessions, []
    assert await _texts(app) == ["milk"]
    async with serving(app):
        assert await (await read.submit(get_queue(app))).value(SAFETY_NET) == ["milk"]
    assert app.state.loops == [asyncio.get_running_loop()] * 2
