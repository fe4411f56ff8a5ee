"""One small app for each framework; each starts and reads jobs, and differs in nothing else.

``POST /double`` finds the queue with :func:`get_queue`, ``POST /unaided`` where the framework
keeps it; ``GET /jobs/{job_id}`` is the record now, ``GET /jobs/{job_id}/end`` the last one.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncGenerator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, NamedTuple

import httpx
from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from litestar import Litestar, get, post
from litestar import Request as LitestarRequest
from litestar.datastructures import State
from litestar.params import FromPath
from quart import Quart, current_app
from quart import Response as QuartResponse
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobResult,
    get_queue,
    lifespan,
    with_jobs,
)

from . import SAFETY_NET

Life = Callable[[Any], AbstractAsyncContextManager[Any]]
"""What an app has for its lifespan."""

handlers = JobHandlers()
released = threading.Event()


@handlers.job
async def double(ctx: JobContext, n: int = 21) -> int:
    return 2 * n


@handlers.job
async def never_ends(ctx: JobContext) -> None:
    await asyncio.Event().wait()


@handlers.job
def stuck(ctx: JobContext) -> None:
    """A thread that heeds nobody until it is released."""
    assert released.wait(SAFETY_NET)


async def start(queue: JobBackend, job_type: str = "double") -> dict[str, str]:
    return {"job_id": await queue.submit(job_type)}


def on_fastapi(life: Life, queue: JobBackend | None = None) -> FastAPI:
    app = FastAPI(lifespan=life)
    if queue is not None:
        app.state.job_queue = queue

    @app.post("/unaided")
    async def unaided(request: FastAPIRequest) -> dict[str, str]:
        return await start(request.app.state.job_queue)

    @app.post("/{job_type}")
    async def aided(request: FastAPIRequest, job_type: str) -> dict[str, str]:
        return await start(get_queue(request), job_type)

    @app.get("/jobs/{job_id}")
    async def read(request: FastAPIRequest, job_id: str) -> JobResult:
        return await get_queue(request).get_result(job_id)

    @app.get("/jobs/{job_id}/end")
    async def end(request: FastAPIRequest, job_id: str) -> JobResult:
        return await get_queue(request).wait(job_id, SAFETY_NET)

    return app


async def _aided(request: Request) -> Response:
    return JSONResponse(await start(get_queue(request), request.path_params["job_type"]))


async def _unaided(request: Request) -> Response:
    return JSONResponse(await start(request.app.state.job_queue))


async def _read(request: Request) -> Response:
    record = await get_queue(request).get_result(request.path_params["job_id"])
    return Response(record.model_dump_json())


async def _end(request: Request) -> Response:
    record = await get_queue(request).wait(request.path_params["job_id"], SAFETY_NET)
    return Response(record.model_dump_json())


def on_starlette(life: Life, queue: JobBackend | None = None) -> Starlette:
    routes = [
        Route("/unaided", _unaided, methods=["POST"]),
        Route("/{job_type}", _aided, methods=["POST"]),
        Route("/jobs/{job_id}", _read),
        Route("/jobs/{job_id}/end", _end),
    ]
    app = Starlette(lifespan=life, routes=routes)
    if queue is not None:
        app.state.job_queue = queue
    return app


LitestarConnection = LitestarRequest[Any, Any, Any]


@post("/{job_type:str}")
async def litestar_aided(request: LitestarConnection, job_type: FromPath[str]) -> dict[str, str]:
    return await start(get_queue(request), job_type)


@post("/unaided")
async def litestar_unaided(state: State) -> dict[str, str]:
    return await start(state.job_queue)


@get("/jobs/{job_id:str}")
async def litestar_read(request: LitestarConnection, job_id: FromPath[str]) -> JobResult:
    return await get_queue(request).get_result(job_id)


@get("/jobs/{job_id:str}/end")
async def litestar_end(request: LitestarConnection, job_id: FromPath[str]) -> JobResult:
    return await get_queue(request).wait(job_id, SAFETY_NET)


def on_litestar(life: Life, queue: JobBackend | None = None) -> Litestar:
    """In debug mode an answer of 500 has the error's words."""
    routes = [litestar_aided, litestar_unaided, litestar_read, litestar_end]
    state = State({} if queue is None else {"job_queue": queue})
    return Litestar(routes, lifespan=[life], state=state, debug=True)


def on_quart(life: Life, queue: JobBackend | None = None) -> Quart:
    app = _quart(lambda: get_queue(current_app))
    if queue is not None:
        app.extensions["job_queue"] = queue

    @app.while_serving
    async def jobs() -> AsyncGenerator[None, None]:
        async with life(app):
            yield

    return app


def wrapped_quart(queue: JobBackend | None = None) -> Any:
    app: Any = _quart(lambda: get_queue(quart_request))
    app.asgi_app = with_jobs(app.asgi_app, queue=queue, handlers=handlers)
    return app


def _quart(find: Callable[[], JobBackend]) -> Quart:
    app = Quart(__name__)

    @app.post("/unaided")
    async def unaided() -> dict[str, str]:
        return await start(current_app.extensions["job_queue"])

    @app.post("/<job_type>")
    async def aided(job_type: str) -> dict[str, str]:
        return await start(find(), job_type)

    @app.get("/jobs/<job_id>")
    async def read(job_id: str) -> QuartResponse:
        return QuartResponse((await find().get_result(job_id)).model_dump_json())

    @app.get("/jobs/<job_id>/end")
    async def end(job_id: str) -> QuartResponse:
        return QuartResponse((await find().wait(job_id, SAFETY_NET)).model_dump_json())

    return app


def bare(queue: JobBackend | None = None) -> Any:
    return with_jobs(_bare, queue=queue, handlers=handlers)


async def _bare(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """No framework at all."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    queue, path = get_queue(scope), scope["path"].split("/")
    if scope["method"] == "POST":
        body = json.dumps(await start(queue, path[1]))
    else:
        body = (await queue.wait(path[2], SAFETY_NET)).model_dump_json()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


# The ways in which an app gets its queue, and what a client then sees.

MISSING = "no job queue here: the app's lifespan has not run"
FOREIGN = r"submit\(\) was called outside the event loop that runs the queue"
NOT_STARTED = (
    "submitted to a queue that has not been started, and waits until it is: run the app's"
    r" lifespan \(with a TestClient: `with TestClient\(app\) as client:`\)"
)


class Given(NamedTuple):
    """What an app is made with."""

    life: Life
    queue: JobBackend | None = None
    """Put on the app beforehand."""


def by_lifespan() -> Given:
    return Given(partial(lifespan, handlers=handlers))


def as_argument(kind: Any) -> Given:
    return Given(partial(lifespan, queue=kind(), handlers=handlers))


def on_the_app(kind: Any) -> Given:
    return Given(partial(lifespan, handlers=handlers), kind(handlers))


WAYS: dict[str, Callable[[], Given]] = {
    "by_lifespan": by_lifespan,
    "argument-asyncio": partial(as_argument, AsyncioJobQueue),
    "argument-memory": partial(as_argument, InMemoryJobQueue),
    "on_the_app-asyncio": partial(on_the_app, AsyncioJobQueue),
    "on_the_app-memory": partial(on_the_app, InMemoryJobQueue),
}
WITHOUT_A_QUEUE = ["by_lifespan", "argument-asyncio", "argument-memory"]

KINDS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "asyncio": AsyncioJobQueue,
    "memory": InMemoryJobQueue,
}
"""What ``with_jobs`` is given."""


def remedy(words: str) -> str:
    """Matches the error of an app without a queue, where it says *words*."""
    return f"{MISSING}.*{re.escape(words)}"


def at_once() -> JobQueueSettings:
    """For queues that let nothing finish when they are stopped."""
    return JobQueueSettings(drain_timeout=0, cancel_grace=0)


def result(client: Any, path: str = "/double") -> Any:
    """The result of a job that *client* starts and reads."""
    job_id = client.post(path).json()["job_id"]
    return client.get(f"/jobs/{job_id}/end").json()["result"]


async def result_async(client: httpx.AsyncClient, path: str = "/double") -> Any:
    """As :func:`result`."""
    job_id = (await client.post(path)).json()["job_id"]
    return (await client.get(f"/jobs/{job_id}/end")).json()["result"]


def leaves(error: BaseException) -> list[BaseException]:
    """What was raised, out of the groups that it comes in."""
    inner = getattr(error, "exceptions", None)
    return [error] if inner is None else [leaf for each in inner for leaf in leaves(each)]
