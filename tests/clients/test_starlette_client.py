"""Starlette's and FastAPI's ``TestClient``."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from stoat_jobs import (
    AsyncioJobQueue,
    BackendNotFoundError,
    InMemoryJobQueue,
    JobQueueSettings,
    QueueClosedError,
    get_queue,
    lifespan,
)

from ..support.apps import (
    NOT_STARTED,
    Given,
    bare,
    by_lifespan,
    handlers,
    on_fastapi,
    on_starlette,
    on_the_app,
    remedy,
    result,
    start,
)

MAKERS = pytest.mark.parametrize("make", [on_fastapi, on_starlette])
PATHS = pytest.mark.parametrize("path", ["/double", "/unaided"])
WITH = "In a test, run the app's lifespan too (`with TestClient(app) as client:`"


@MAKERS
@PATHS
def test_with(make: Any, path: str, given: Given) -> None:
    """In ``with TestClient(app)`` jobs run, whichever way the app gets its queue."""
    with TestClient(make(*given)) as client:
        assert result(client, path) == 42


@MAKERS
def test_without_with(make: Any, without_a_queue: Given) -> None:
    """Without ``with`` no lifespan runs: `get_queue` raises an error that says to write it."""
    with pytest.raises(RuntimeError, match=remedy(WITH)):
        TestClient(make(*without_a_queue)).post("/double")


@MAKERS
def test_without_with_and_unaided(make: Any, without_a_queue: Given) -> None:
    """The framework's own error, which `get_queue` spares the reader, names the missing queue."""
    with pytest.raises(AttributeError, match="'State' object has no attribute 'job_queue'"):
        TestClient(make(*without_a_queue)).post("/unaided")


@MAKERS
@PATHS
def test_without_with_on_the_app_memory(make: Any, path: str) -> None:
    """A memory queue that is on the app needs no ``with``, though each request has its loop."""
    client = TestClient(make(*on_the_app(InMemoryJobQueue)))
    assert [result(client, path), result(client, path)] == [42, 42]


@MAKERS
@PATHS
def test_without_with_on_the_app_asyncio(make: Any, path: str) -> None:
    """An asyncio queue that is on the app keeps the jobs, and says once what would start it."""
    client = TestClient(make(*on_the_app(AsyncioJobQueue)))
    with pytest.warns(RuntimeWarning, match=NOT_STARTED) as warned:
        first, second = (client.post(path).json()["job_id"] for _ in range(2))
    assert len(warned) == 1
    statuses = [client.get(f"/jobs/{job_id}").json()["status"] for job_id in (first, second)]
    assert statuses == ["pending", "pending"]


@MAKERS
def test_without_with_and_then_with(make: Any) -> None:
    """Jobs that were submitted before the lifespan ran are done when it runs."""
    app = make(*on_the_app(AsyncioJobQueue))
    with pytest.warns(RuntimeWarning, match=NOT_STARTED):
        job_id = TestClient(app).post("/double").json()["job_id"]
    with TestClient(app) as client:
        assert client.get(f"/jobs/{job_id}/end").json()["result"] == 42


@MAKERS
def test_after_the_block(make: Any) -> None:
    """A client that is used after its block is told that the queue is closed."""
    with TestClient(make(*by_lifespan())) as client:
        assert result(client) == 42
    with pytest.raises(QueueClosedError, match="closed and accepts no more work"):
        client.post("/double")


@MAKERS
def test_backend_that_is_not_there(make: Any) -> None:
    """A start that fails is raised by the ``with``, as it is."""

    def life(app: Any) -> Any:
        return lifespan(app, settings=JobQueueSettings(backend="post"))

    with pytest.raises(BackendNotFoundError, match="no backend 'post'; installed: .*memory"):
        TestClient(make(life)).__enter__()


def test_with_jobs(queue: Any) -> None:
    """A bare app in ``with_jobs`` is served in ``with TestClient(app)``."""
    with TestClient(bare(queue)) as client:
        assert result(client) == 42


def test_with_jobs_without_with() -> None:
    """Without ``with`` a bare app has the same error as any other."""
    with pytest.raises(RuntimeError, match=remedy(WITH)):
        TestClient(bare()).post("/double")


def test_with_jobs_without_with_memory() -> None:
    """A memory queue handed to ``with_jobs`` needs no ``with``."""
    client = TestClient(bare(InMemoryJobQueue(handlers)))
    assert [result(client), result(client)] == [42, 42]


def test_with_jobs_without_with_asyncio() -> None:
    """An asyncio queue handed to ``with_jobs`` says once what would start it."""
    client = TestClient(bare(AsyncioJobQueue(handlers)))
    with pytest.warns(RuntimeWarning, match=NOT_STARTED) as warned:
        assert {client.post("/double").status_code for _ in range(2)} == {200}
    assert len(warned) == 1


async def answer_once(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(await start(get_queue(websocket)))
    await websocket.close()


def test_websocket(given: Given) -> None:
    """`get_queue` finds the queue of a websocket too."""
    app = Starlette(lifespan=given.life, routes=[WebSocketRoute("/", answer_once)])
    if given.queue is not None:
        app.state.job_queue = given.queue
    with TestClient(app) as client, client.websocket_connect("/") as websocket:
        assert set(websocket.receive_json()) == {"job_id"}


def test_websocket_without_with(without_a_queue: Given) -> None:
    """A websocket's error without ``with`` is that of a request."""
    app = Starlette(lifespan=without_a_queue.life, routes=[WebSocketRoute("/", answer_once)])
    client = TestClient(app)
    with (
        pytest.raises(RuntimeError, match=remedy(WITH)),
        client.websocket_connect("/") as websocket,
    ):
        websocket.receive_json()
