"""Litestar's ``TestClient`` and ``AsyncTestClient``, entered and not."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, websocket
from litestar.connection import WebSocket
from litestar.testing import AsyncTestClient, TestClient

from stoat_jobs import (
    AsyncioJobQueue,
    BackendNotFoundError,
    InMemoryJobQueue,
    JobQueueSettings,
    get_queue,
    lifespan,
)

from ..support.apps import (
    FOREIGN,
    NOT_STARTED,
    Given,
    leaves,
    on_litestar,
    on_the_app,
    result,
    result_async,
    start,
)

PATHS = pytest.mark.parametrize("path", ["/double", "/unaided"])
WITH = "In a test, run the app's lifespan too (`with TestClient(app) as client:`"


@PATHS
def test_entered(path: str, given: Given) -> None:
    """In ``with TestClient(app)`` jobs run, whichever way the app gets its queue."""
    with TestClient(on_litestar(*given)) as client:
        assert result(client, path) == 42


@PATHS
async def test_async_entered(path: str, given: Given) -> None:
    """In ``async with AsyncTestClient(app)`` jobs run, whichever way the app gets its queue."""
    async with AsyncTestClient(on_litestar(*given)) as client:
        assert await result_async(client, path) == 42


def test_not_entered(without_a_queue: Given) -> None:
    """Not entered, the client runs no lifespan: the answer of 500 says to enter it."""
    answer = TestClient(on_litestar(*without_a_queue)).post("/double")
    assert answer.status_code == 500
    assert WITH in answer.text


async def test_async_not_entered(without_a_queue: Given) -> None:
    """Not entered, the async client's answer says the same."""
    answer = await AsyncTestClient(on_litestar(*without_a_queue)).post("/double")
    assert answer.status_code == 500
    assert WITH in answer.text


def test_not_entered_and_unaided(without_a_queue: Given) -> None:
    """Litestar's own error, which `get_queue` spares the reader, has no words at all."""
    answer = TestClient(on_litestar(*without_a_queue)).post("/unaided")
    assert answer.status_code == 500
    assert answer.text.endswith("AttributeError\n")


def test_not_entered_on_the_app_memory() -> None:
    """A memory queue that is on the app needs no ``with``."""
    client = TestClient(on_litestar(*on_the_app(InMemoryJobQueue)))
    assert [result(client), result(client)] == [42, 42]


async def test_async_not_entered_on_the_app_memory() -> None:
    """A memory queue that is on the app needs no ``async with``."""
    client = AsyncTestClient(on_litestar(*on_the_app(InMemoryJobQueue)))
    assert [await result_async(client), await result_async(client)] == [42, 42]


def test_not_entered_on_the_app_asyncio() -> None:
    """An asyncio queue that is on the app keeps the jobs, and says once what would start it."""
    client = TestClient(on_litestar(*on_the_app(AsyncioJobQueue)))
    with pytest.warns(RuntimeWarning, match=NOT_STARTED) as warned:
        first, second = (client.post("/double").json()["job_id"] for _ in range(2))
    assert len(warned) == 1
    statuses = [client.get(f"/jobs/{job_id}").json()["status"] for job_id in (first, second)]
    assert statuses == ["pending", "pending"]


def test_queue_beside_the_client(injected: Any) -> None:
    """The test calls the queue through the client's portal, which in Litestar is to be opened."""
    with TestClient(on_litestar(*on_the_app(lambda _: injected))) as client:
        with client.portal() as portal:
            job_id = client.post("/double").json()["job_id"]
            assert portal.call(injected.wait, job_id).result == 42


async def test_async_client_has_a_loop_of_its_own(injected: Any) -> None:
    """``AsyncTestClient`` runs the app in a thread: what the test awaits itself is refused."""
    async with AsyncTestClient(on_litestar(*on_the_app(lambda _: injected))) as client:
        with pytest.raises(RuntimeError, match=FOREIGN):
            await injected.submit("double")
        with client.portal() as portal:
            job_id = portal.call(injected.submit, "double")
        assert (await client.get(f"/jobs/{job_id}/end")).json()["result"] == 42


def without_backend(app: Any) -> Any:
    return lifespan(app, settings=JobQueueSettings(backend="post"))


def test_backend_that_is_not_there() -> None:
    """A start that fails is raised by the ``with``, in the group that Litestar makes of it."""
    with pytest.raises(BaseExceptionGroup) as raised:
        TestClient(on_litestar(without_backend)).__enter__()
    (error,) = leaves(raised.value)
    assert isinstance(error, BackendNotFoundError)


@websocket("/")
async def answer_once(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_json(await start(get_queue(socket)))
    await socket.close()


def test_websocket() -> None:
    """`get_queue` finds the queue of a websocket too."""
    given = on_the_app(InMemoryJobQueue)
    app = Litestar([answer_once], lifespan=[given.life])
    with TestClient(app) as client:
        app.state.job_queue = given.queue
        with client.websocket_connect("/") as socket:
            assert set(socket.receive_json()) == {"job_id"}
