"""``get_queue``: where a request, a websocket, a scope or an app finds its queue."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from litestar import Litestar
from litestar import Request as LitestarRequest
from litestar import get as litestar_get
from litestar.datastructures import State
from litestar.testing import TestClient as LitestarClient
from quart import Quart, current_app
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from stoat_jobs import InMemoryJobQueue, get_queue, lifespan, with_jobs


class Found:
    """An endpoint that writes down the queue that it finds."""

    def __init__(self) -> None:
        self.queues: list[Any] = []

    def look(self, source: Any) -> str:
        self.queues.append(get_queue(source))
        return "found"

    async def on_starlette(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse(self.look(request))


@pytest.fixture
def found() -> Found:
    return Found()


@pytest.fixture
def queue() -> InMemoryJobQueue:
    return InMemoryJobQueue()


def test_request_and_app_of_starlette(found: Found, queue: InMemoryJobQueue) -> None:
    """A request finds it, and so does who has the app alone."""
    app = Starlette(
        lifespan=partial(lifespan, queue=queue), routes=[Route("/", found.on_starlette)]
    )
    with TestClient(app) as client:
        client.get("/")
        found.look(app)
    assert found.queues == [queue, queue]


def test_request_and_websocket_of_fastapi(found: Found, queue: InMemoryJobQueue) -> None:
    """An endpoint finds it, whichever protocol it speaks."""
    app = FastAPI(lifespan=partial(lifespan, queue=queue))

    @app.get("/")
    async def read(request: Request) -> str:
        return found.look(request)

    @app.websocket("/")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(found.look(websocket))
        await websocket.close()

    with TestClient(app) as client:
        client.get("/")
        with client.websocket_connect("/") as session:
            session.receive_text()
    assert found.queues == [queue, queue]


def test_mounted_app_finds_the_queue_of_the_outer_one(
    found: Found, queue: InMemoryJobQueue
) -> None:
    """An app mounted in another, whose own lifespan nobody runs, finds what the outer started."""
    inner = Starlette(routes=[Route("/", found.on_starlette)])
    app = Starlette(lifespan=partial(lifespan, queue=queue), routes=[Mount("/inner", inner)])
    with TestClient(app) as client:
        client.get("/inner/")
    assert found.queues == [queue]


def test_state_of_the_request_comes_first(queue: InMemoryJobQueue) -> None:
    """What the server hands on with the request counts before what is on the app."""
    other = SimpleNamespace(state=SimpleNamespace(job_queue=InMemoryJobQueue()))
    assert get_queue({"app": other, "state": {"job_queue": queue}}) is queue
    assert get_queue({"app": other, "state": {}}) is other.state.job_queue


def test_request_of_litestar(found: Found, queue: InMemoryJobQueue) -> None:
    """Litestar keeps the queue on the app, not with the request."""

    @litestar_get("/", sync_to_thread=False)
    def read(request: LitestarRequest[Any, Any, State]) -> str:
        return found.look(request)

    app = Litestar([read], lifespan=[partial(lifespan, queue=queue)])
    with LitestarClient(app) as client:
        client.get("/").raise_for_status()
        found.look(app)
    assert found.queues == [queue, queue]


async def test_app_of_quart(found: Found, queue: InMemoryJobQueue) -> None:
    """A Quart app has ``extensions``, where the queue is for as long as it serves."""
    app = Quart(__name__)
    app.add_url_rule("/", view_func=lambda: found.look(current_app))

    @app.while_serving
    async def jobs() -> Any:
        async with lifespan(app, queue=queue):
            yield

    async with app.test_app() as running:
        assert (await running.test_client().get("/")).status_code == 200
        found.look(app)
    assert found.queues == [queue, queue]
    assert "job_queue" not in app.extensions


def ask_the_app() -> str:
    return str(get_queue(current_app))


def ask_the_request() -> str:
    return str(get_queue(quart_request))


@pytest.mark.parametrize("view", [ask_the_app, ask_the_request])
async def test_quart_tells_the_error_in_its_own_words(view: Any) -> None:
    """The error arrives, also through a page that shows variables; it names `current_app`."""
    app = Quart(__name__)
    app.testing = True
    app.add_url_rule("/", view_func=view)
    try:
        answer = await app.test_client().get("/")
        told = await answer.get_data(as_text=True)
    except RuntimeError as error:  # as older versions of Quart have it
        told = str(error)
    assert "async with app.test_app():" in told
    assert "get_queue(current_app)" in told


def test_queue_injected_into_quart() -> None:
    """A queue that was put into ``extensions`` is used, and stays there."""
    app = Quart(__name__)
    queue = app.extensions["job_queue"] = InMemoryJobQueue()
    assert get_queue(app) is queue


NOWHERE = [
    FastAPI(),
    Quart(__name__),
    object(),
    {"type": "http"},
    {"type": "http", "state": {}, "app": Starlette()},
    {"type": "http", "state": {}, "app": None},
]


@pytest.mark.parametrize("source", NOWHERE, ids=range(len(NOWHERE)))
def test_no_queue_says_what_to_do(source: Any) -> None:
    """Where no lifespan ran, the error names the usual causes and their remedies."""
    with pytest.raises(RuntimeError, match="lifespan has not run.*with TestClient\\(app\\)"):
        get_queue(source)


@pytest.mark.parametrize("make", [FastAPI, Starlette])
def test_client_without_a_lifespan(make: Any, found: Found) -> None:
    """A ``TestClient`` that is not entered gives the endpoint that error."""
    app = make(lifespan=lifespan)
    app.router.add_route("/", found.on_starlette)
    with pytest.raises(RuntimeError, match="lifespan has not run"):
        TestClient(app).get("/")


async def answer_with_queue(scope: Any, receive: Any, send: Any) -> None:
    body = type(get_queue(scope)).__name__.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def test_wrapped_app_without_a_lifespan() -> None:
    """``with_jobs`` has the queue it was given for requests without a lifespan, else the error."""
    given = with_jobs(answer_with_queue, queue=InMemoryJobQueue())
    assert TestClient(given).get("/").text == "InMemoryJobQueue"
    with pytest.raises(RuntimeError, match="lifespan has not run"):
        TestClient(with_jobs(answer_with_queue)).get("/")
