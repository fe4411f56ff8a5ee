"""Two queues on one app, over HTTP: each face serves one of them, by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from asgi_lifespan import LifespanManager
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import Response

from stoat_jobs import (
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    get_queue,
    lifespan,
)
from stoat_jobs.http import accepted, allow_all, jobs_app, jobs_router, queue_named

from .test_accepted import client_of

cpu, io = JobHandlers(), JobHandlers()


@cpu.job
async def render(ctx: JobContext) -> str:
    return "rendered"


@io.job
async def fetch(ctx: JobContext) -> str:
    return "fetched"


@asynccontextmanager
async def both(app: Any) -> AsyncIterator[dict[str, Any]]:
    async with (
        lifespan(app, handlers=cpu, name="cpu") as one,
        lifespan(app, handlers=io, settings=JobQueueSettings(concurrency=8), name="io") as other,
    ):
        yield {**one, **other}


def mounted() -> FastAPI:
    app = FastAPI(lifespan=both)
    for name, job_type in (("cpu", "render"), ("io", "fetch")):
        face = jobs_app(queue_name=name, authorize=allow_all, submittable=[job_type])
        app.mount(f"/{name}", face, name=name)
    return app


def routed() -> FastAPI:
    app = FastAPI(lifespan=both)
    for name, handlers, job_type in (("cpu", cpu, "render"), ("io", io, "fetch")):
        face = jobs_router(
            queue_name=name,
            handlers=handlers,
            authorize=allow_all,
            submittable=[job_type],
            name=name,
        )
        app.include_router(face, prefix=f"/{name}")
    return app


CpuQueue = Annotated[JobBackend, Depends(queue_named("cpu"))]
IoQueue = Annotated[JobBackend, Depends(queue_named("io"))]


@pytest.mark.parametrize("make", [mounted, routed])
async def test_each_face_serves_its_queue(make: Callable[[], FastAPI]) -> None:
    """Jobs, counts and locations are those of the queue that the face names."""
    app = make()

    @app.post("/render")
    async def start_render(request: Request, queue: CpuQueue) -> Response:
        return accepted(request, await render.submit(queue), jobs="cpu")

    @app.post("/fetch")
    async def start_fetch(request: Request) -> Response:
        return accepted(request, await fetch.submit(get_queue(request, "io")), jobs="io")

    async with client_of(app) as client:
        for name, act, result in (("cpu", "render", "rendered"), ("io", "fetch", "fetched")):
            answer = await client.post(f"/{act}")
            location = answer.headers["location"]
            assert location.startswith(f"/{name}/"), answer.text
            assert (await client.get(f"{location}/wait")).json()["result"] == result
            submitted = await client.post(f"/{name}/", json={"job_type": act})
            assert submitted.headers["location"].startswith(f"/{name}/")
            assert len((await client.get(f"/{name}/")).json()) == 2
        stats = [(await client.get(f"/{name}/stats")).json() for name in ("cpu", "io")]
        assert [each["concurrency"] for each in stats] == [1, 8]
        elsewhere = location.replace("/io/", "/cpu/")
        assert (await client.get(elsewhere)).status_code == 404


def test_the_dependency_by_name_in_requests_and_websockets() -> None:
    """`queue_named` finds each queue by its name, as `JobQueueDep` does the one without."""
    app = FastAPI(lifespan=both)

    @app.get("/")
    async def read(cpu_queue: CpuQueue, io_queue: IoQueue) -> list[int]:
        return [(await queue.stats()).concurrency for queue in (cpu_queue, io_queue)]

    @app.websocket("/count")
    async def count(websocket: WebSocket, queue: IoQueue) -> None:
        await websocket.accept()
        await websocket.send_json((await queue.stats()).concurrency)
        await websocket.close()

    with TestClient(app) as client:
        assert client.get("/").json() == [1, 8]
        with client.websocket_connect("/count") as websocket:
            assert websocket.receive_json() == 8


async def test_a_name_that_the_app_has_not() -> None:
    """A face whose queue is not there says which name it asks for."""
    app = Starlette(lifespan=both)
    app.mount("/jobs", jobs_app(queue_name="gpu"))
    async with client_of(app) as client:
        with pytest.raises(RuntimeError, match="no job queue named 'gpu'"):
            await client.get("/jobs/health")


@pytest.mark.parametrize("face", [jobs_app, jobs_router])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"queue_name": ""}, "queue_name must be a non-empty string"),
        ({"queue_name": b"io"}, "queue_name must be a non-empty string"),
        ({"queue_name": InMemoryJobQueue()}, "queue_name must be a non-empty string"),
        (
            {"queue": "io"},
            "must be a JobBackend, not str; to choose a queue of the app, pass its name",
        ),
        ({"queue": InMemoryJobQueue(), "queue_name": "io"}, "not both"),
    ],
    ids=["empty", "bytes", "a queue for a name", "a name for a queue", "both"],
)
def test_what_names_no_queue_is_refused(face: Any, given: dict[str, Any], said: str) -> None:
    """A queue is given itself or by its name, and anything else is refused at once."""
    with pytest.raises(TypeError, match=said):
        face(**given)


@pytest.mark.parametrize("face", [jobs_app, jobs_router])
def test_submittable_takes_names(face: Any) -> None:
    """A job type, or its function, in the place of its name would never match a request."""
    for given in (fetch, fetch.function):
        with pytest.raises(TypeError, match=r"submittable must contain names, as in .*\.name"):
            face(queue_name="io", submittable=[given])


async def test_both_start_and_stop_with_the_app() -> None:
    """Each queue runs as long as the app does."""
    app = mounted()
    async with LifespanManager(app):
        queues = [get_queue(app, name) for name in ("cpu", "io")]
        assert [queue.started for queue in queues] == [True, True]
    assert [queue.started for queue in queues] == [False, False]
