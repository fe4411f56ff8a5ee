"""The jobs under five frameworks' roofs, and a client of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI
from hypercorn.middleware import DispatcherMiddleware
from litestar import Litestar
from litestar.handlers import asgi
from quart import Quart
from starlette.applications import Starlette

from stoat_jobs import (
    AsyncioJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    lifespan,
    with_jobs,
)
from stoat_jobs.http import allow_all, jobs_app, jobs_router

from .serving import serving as in_this_loop

JOBS = "/api/jobs"
SUBMITTABLE = ("double", "held", "fails", "opaque")
SETTINGS = JobQueueSettings(concurrency=1000, drain_timeout=0, cancel_grace=0.2)


class Works:
    """A queue, and handlers that go on when the test says so."""

    def __init__(self, settings: JobQueueSettings) -> None:
        self.gate = asyncio.Event()
        self.handlers = JobHandlers()
        for kept in (self.double, self.kept):
            self.handlers.register(kept.__name__, kept, keep_payload=True)
        for function in (self.held, self.fails, self.opaque):
            self.handlers.register(function.__name__, function)
        self.queue = AsyncioJobQueue(self.handlers, settings)

    async def double(self, ctx: JobContext, n: int) -> int:
        return 2 * n

    async def held(self, ctx: JobContext, message: str | None = None) -> str:
        """Reports *message*, then waits until the gate is open."""
        if message is not None:
            ctx.set_progress(0.5, message)
        await self.gate.wait()
        return "let go"

    async def kept(self, ctx: JobContext, n: int) -> None:
        """Waits until the gate is open; its payload is kept."""
        await self.gate.wait()

    async def fails(self, ctx: JobContext, text: str = "the password is hunter2") -> None:
        raise PermissionError(text)

    async def opaque(self, ctx: JobContext) -> object:
        return asyncio.Lock()


def on_starlette(works: Works, **options: Any) -> Any:
    """``app.mount`` of Starlette."""
    app = Starlette(lifespan=partial(lifespan, queue=works.queue))
    app.mount(JOBS, jobs_app(**options), name="jobs")
    return app


def on_fastapi(works: Works, **options: Any) -> Any:
    """``app.mount`` of FastAPI."""
    app = FastAPI(lifespan=partial(lifespan, queue=works.queue))
    app.mount(JOBS, jobs_app(**options), name="jobs")
    return app


def routed_by_fastapi(works: Works, **options: Any) -> Any:
    """``app.include_router`` of FastAPI."""
    app = FastAPI(lifespan=partial(lifespan, queue=works.queue))
    app.include_router(jobs_router(handlers=works.handlers, **options), prefix=JOBS)
    return app


def on_litestar(works: Works, **options: Any) -> Any:
    """A mount of Litestar."""
    hung = partial(lifespan, queue=works.queue)
    mount = asgi(JOBS, is_mount=True, copy_scope=True)(jobs_app(**options))
    return Litestar([mount], lifespan=[hung], openapi_config=None, logging_config=None)


def beside_quart(works: Works, **options: Any) -> Any:
    """Beside a Quart app, by the dispatcher of its server."""
    both: Any = DispatcherMiddleware({JOBS: jobs_app(**options), "": Quart("beside")})
    return with_jobs(both, queue=works.queue)


HOSTS: list[Callable[..., Any]] = [
    on_starlette,
    on_fastapi,
    routed_by_fastapi,
    on_litestar,
    beside_quart,
]
# What the app does is the same under all of them; the router has routes of its own.
BOTH_FACES = [on_starlette, routed_by_fastapi]


class Face:
    """A client of a running app, and what its jobs do."""

    def __init__(self, client: httpx.AsyncClient, works: Works) -> None:
        self.client = client
        self.works = works

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path if path.startswith(JOBS) else JOBS + path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.post(path if path.startswith(JOBS) else JOBS + path, **options)

    async def submit(self, job_type: str, **payload: Any) -> str:
        """Where the new job is."""
        answer = await self.post("/", json={"job_type": job_type, "payload": payload})
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    async def begun(self, job_type: str, **payload: Any) -> str:
        """Where a job is that the app itself has submitted."""
        return f"{JOBS}/{await self.works.queue.submit(job_type, payload)}"

    async def finished(self, job_type: str, **payload: Any) -> str:
        """Where a job is that has ended."""
        place = await self.begun(job_type, **payload)
        await self.works.queue.wait(place.rpartition("/")[2])
        return place


OPEN: dict[str, Any] = {"authorize": allow_all, "submittable": SUBMITTABLE}


@asynccontextmanager
async def serving(
    make: Callable[..., Any], settings: JobQueueSettings = SETTINGS, **options: Any
) -> AsyncIterator[Face]:
    """The app that *make* makes with *options*, running."""
    works = Works(settings)
    async with in_this_loop(make(works, **options)) as client:
        yield Face(client, works)
