"""How the jobs sit in an application: where they find the queue, and how an endpoint names them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import litestar
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from litestar.handlers import asgi
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.websockets import WebSocketDisconnect

from stoat_jobs import AsyncioJobQueue, get_queue, lifespan, with_jobs
from stoat_jobs.http import AccessRequest, JobQueueDep, accepted, jobs_app, jobs_router

from ..support.mounted import OPEN, SETTINGS, Works


@pytest.fixture
async def works() -> Works:
    return Works(SETTINGS)


@asynccontextmanager
async def client_of(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app) as running:
        transport = httpx.ASGITransport(running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def start(request: Request) -> Response:
    """An endpoint of the user's own."""
    return accepted(request, await get_queue(request).submit("double", {"n": 21}))


async def is_found(client: httpx.AsyncClient, place: str, expected: str) -> bool:
    """Whether what was started at *place* is where its answer says, below *expected*."""
    answer = await client.post(place)
    assert answer.status_code == 202, answer.text
    location = answer.headers["location"]
    assert location.startswith(expected)
    assert answer.headers["retry-after"] == "1"
    assert answer.json() == {"job_id": location.rpartition("/")[2], "location": location}
    return bool((await client.get(f"{location}/wait")).json()["result"] == 42)


async def test_accepted_beside_a_mount(works: Works) -> None:
    """An endpoint names the job by the name of the mount, whatever its path."""
    for mount, place in [
        (Mount("/work", jobs_app(), name="jobs"), "/work/"),
        (Mount("/deep", routes=[Mount("/down", jobs_app(), name="jobs")]), "/deep/down/"),
    ]:
        routes: list[BaseRoute] = [Route("/start", start, methods=["POST"]), mount]
        app = Starlette(routes=routes, lifespan=partial(lifespan, queue=works.queue))
        async with client_of(app) as client:
            assert await is_found(client, "/start", place)


async def test_accepted_beside_a_router(works: Works) -> None:
    """An endpoint of FastAPI names the job by the name of the router, with a dependency."""
    app = FastAPI(lifespan=partial(lifespan, queue=works.queue))
    app.include_router(jobs_router(name="work"), prefix="/api/v1/work")

    @app.post("/start")
    async def start_it(request: Request, queue: JobQueueDep) -> Response:
        ref = await works.handlers.get("double").submit(queue, n=21)
        return accepted(request, ref, jobs="work")

    async with client_of(app) as client:
        assert await is_found(client, "/start", "/api/v1/work/")


async def test_accepted_by_path(works: Works) -> None:
    """Where Starlette does not know the routes, the path in the app serves; Litestar, here."""

    @litestar.post("/start")
    async def start_it(request: litestar.Request[Any, Any, Any]) -> Response:
        job_id = await get_queue(request).submit("double", {"n": 21})
        return accepted(request, job_id, jobs="/work/")

    app = litestar.Litestar(
        [asgi("/work", is_mount=True, copy_scope=True)(jobs_app()), start_it],
        lifespan=[partial(lifespan, queue=works.queue)],
        logging_config=None,
    )
    async with client_of(app) as client:
        assert await is_found(client, "/start", "/work/")


async def test_a_place_below_a_root_path(works: Works) -> None:
    """Behind a proxy that strips a prefix, places have that prefix: clients see it."""
    app = FastAPI(lifespan=partial(lifespan, queue=works.queue))
    app.mount("/work", jobs_app(**OPEN), name="jobs")
    app.add_api_route("/start", start, methods=["POST"], response_model=None)
    app.add_api_route("/path", by_path, methods=["POST"], response_model=None)
    async with LifespanManager(app) as running:
        transport = httpx.ASGITransport(running.app, root_path="/proxied")
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert await is_found(client, "/proxied/start", "/proxied/work/")
            assert await is_found(client, "/proxied/path", "/proxied/work/")
            body = {"job_type": "double", "payload": {"n": 21}}
            answer = await client.post("/proxied/work/", json=body)
            location = answer.headers["location"]
            assert location == f"/proxied/work/{answer.json()['job_id']}"
            assert (await client.get(location)).status_code == 200


async def test_a_root_path_that_paths_lack(works: Works) -> None:
    """Some servers leave the proxy's prefix out of the path: places have it all the same."""
    mount = asgi("/work", is_mount=True, copy_scope=True)(jobs_app(**OPEN))
    hung = partial(lifespan, queue=works.queue)
    app: Any = litestar.Litestar([mount], lifespan=[hung], logging_config=None)
    async with LifespanManager(app) as running:
        transport = httpx.ASGITransport(running.app, root_path="/proxied")
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.post("/work/", json={"job_type": "held"})
            assert answer.headers["location"] == f"/proxied/work/{answer.json()['job_id']}"


async def by_path(request: Request) -> Response:
    job_id = await get_queue(request).submit("double", {"n": 21})
    return accepted(request, job_id, jobs="/work")


@pytest.mark.parametrize("name", ["work", ""])
async def test_accepted_without_jobs(works: Works, name: str) -> None:
    """A name that nothing has is an error that shows how to give it."""

    async def start_it(request: Request) -> Response:
        return accepted(request, "an-id", jobs=name)

    routes = [Route("/start", start_it), Mount("/work", jobs_app())]
    app = Starlette(routes=routes, lifespan=partial(lifespan, queue=works.queue))
    async with client_of(app) as client:
        with pytest.raises(RuntimeError, match=r'app\.mount\("/jobs", jobs_app\(\), name='):
            await client.get("/start")


def on_the_app(app: Starlette, queue: AsyncioJobQueue) -> Any:
    """By the app's state alone, as where a server has no lifespan state."""
    app.state.job_queue = queue
    return app


def in_the_state(app: Starlette, queue: AsyncioJobQueue) -> Any:
    """By the state of the lifespan alone, which a wrapper puts there."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app({**scope, "app": None}, receive, send)

    return with_jobs(bare, queue=queue)


@pytest.mark.parametrize("found", [on_the_app, in_the_state])
@pytest.mark.parametrize("jobs", [jobs_app, jobs_router], ids=lambda face: face.__name__)
async def test_where_the_queue_is_found(
    works: Works, found: Callable[..., Any], jobs: Callable[..., Any]
) -> None:
    """The queue of the outer app is found in the lifespan's state, and on the app itself."""
    app = FastAPI()
    face = jobs(**OPEN)
    if jobs is jobs_app:
        app.mount("/jobs", face)
    else:
        app.include_router(face, prefix="/jobs")
    async with works.queue, client_of(found(app, works.queue)) as client:
        assert (await client.get("/jobs/stats")).status_code == 200


async def test_a_queue_that_is_given(works: Works) -> None:
    """A queue that is given is used, whatever else is there; and without any app, too."""
    async with works.queue, AsyncioJobQueue() as other:
        app = Starlette()
        app.state.job_queue = other
        app.mount("/jobs", jobs_app(queue=works.queue, **OPEN))
        job_id = await works.queue.submit("double", {"n": 1})
        async with client_of(app) as client:
            assert (await client.get(f"/jobs/{job_id}")).status_code == 200
        async with client_of(jobs_app(queue=works.queue)) as client:
            assert (await client.get(f"/{job_id}/wait")).json()["result"] == 2


@pytest.mark.parametrize("path", ["/jobs/x", "/jobs/health"])
async def test_without_a_queue(path: str) -> None:
    """An app that has no queue is told what to do, by the error that get_queue has."""
    app = Starlette()
    app.mount("/jobs", jobs_app())
    async with client_of(app) as client:
        with pytest.raises(RuntimeError, match="Attach `lifespan` to the app"):
            await client.get(path)


async def test_the_outer_app_is_seen(works: Works) -> None:
    """What authorize is given is a request of the outer app, with its state and its user."""
    seen: list[Any] = []

    async def look(access: AccessRequest) -> bool:
        seen.append((access.request.app, access.request.state.user))
        return True

    async def sign_in(request: Request, call_next: Any) -> Response:
        request.state.user = "ada"
        response: Response = await call_next(request)
        return response

    app = Starlette(
        routes=[Mount("/jobs", jobs_app(authorize=look))],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=sign_in)],
        lifespan=partial(lifespan, queue=works.queue),
    )
    async with client_of(app) as client:
        job_id = await works.queue.submit("double", {"n": 1})
        assert (await client.get(f"/jobs/{job_id}/wait")).status_code == 200
        assert "event: end" in (await client.get(f"/jobs/{job_id}/events")).text
    assert seen == [(app, "ada")] * 3


def test_a_websocket_is_refused(works: Works) -> None:
    """A websocket gets no for an answer, not a broken connection."""
    with TestClient(jobs_app(queue=works.queue)) as client:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/x"):
            pass


def test_the_dependency_in_a_websocket() -> None:
    """JobQueueDep serves websockets as well as requests."""
    app = FastAPI(lifespan=partial(lifespan, settings=SETTINGS))

    @app.websocket("/count")
    async def count(websocket: WebSocket, queue: JobQueueDep) -> None:
        await websocket.accept()
        await websocket.send_json(len(await queue.list_jobs()))
        await websocket.close()

    with TestClient(app) as client, client.websocket_connect("/count") as websocket:
        assert websocket.receive_json() == 0
