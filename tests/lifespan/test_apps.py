"""What an app and its requests see of the queue, and how often it can be started."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import pytest
import trio
from asgi_lifespan import LifespanManager
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from stoat_jobs import (
    AsyncioJobQueue,
    BackendError,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    lifespan,
    with_jobs,
)

from ..support.scripted import only_http


def echo_handlers() -> JobHandlers:
    """One job type, ``echo``."""
    handlers = JobHandlers()

    @handlers.job
    async def echo(ctx: JobContext, text: str) -> str:
        return text

    return handlers


async def compare(request: Request) -> JSONResponse:
    """Whether the request finds the same started queue in both places."""
    queue = request.app.state.job_queue
    return JSONResponse([request.state.job_queue is queue, queue.started])


def on_fastapi(hung: Any) -> FastAPI:
    app = FastAPI(lifespan=hung)
    app.add_api_route("/", compare, response_model=None)
    return app


def on_starlette(hung: Any) -> Starlette:
    return Starlette(lifespan=hung, routes=[Route("/", compare)])


@asynccontextmanager
async def own_lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """An app's own lifespan, with ours nested in it."""
    async with lifespan(app) as state:
        yield {**state, "name": "cutter"}


MAKERS = pytest.mark.parametrize("make", [on_fastapi, on_starlette])


@MAKERS
@pytest.mark.parametrize("hung", [lifespan, own_lifespan, partial(lifespan, handlers=None)])
def test_request_finds_the_queue(make: Any, hung: Any) -> None:
    """``request.state.job_queue`` and ``app.state.job_queue`` are the same started queue."""
    with TestClient(make(hung)) as client:
        assert client.get("/").json() == [True, True]


def test_own_lifespan_hands_its_state_on_too() -> None:
    """An app's own lifespan yields ours and what it has itself."""

    async def name(request: Request) -> JSONResponse:
        return JSONResponse([request.state.name, request.state.job_queue.name])

    app = Starlette(lifespan=own_lifespan, routes=[Route("/", name)])
    with TestClient(app) as client:
        assert client.get("/").json() == ["cutter", "asyncio"]


@MAKERS
def test_handlers_see_the_app(make: Any) -> None:
    """``ctx.app`` is the app that the lifespan was given, and ``ctx.queue`` its queue."""
    handlers = JobHandlers()
    seen = []

    @handlers.job
    async def look(ctx: JobContext) -> None:
        seen.append((ctx.app, ctx.queue))

    queue = InMemoryJobQueue(handlers)
    app = make(partial(lifespan, queue=queue))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(queue.submit, "look")
    assert seen == [(app, queue)]


async def test_queue_keeps_an_app_of_its_own() -> None:
    """A queue that has an app already keeps showing that one to its handlers."""
    queue = InMemoryJobQueue()
    queue.app = "the owner's"
    async with lifespan(FastAPI(), queue=queue):
        assert queue.app == "the owner's"
    assert queue.app == "the owner's"


@MAKERS
def test_started_again_and_again(make: Any) -> None:
    """One app can be started any number of times; each time it has a new queue."""
    app = make(lifespan)
    queues = []
    for _ in range(3):
        with TestClient(app) as client:
            assert client.get("/").json() == [True, True]
            queues.append(app.state.job_queue)
        assert not hasattr(app.state, "job_queue")
    assert len(set(map(id, queues))) == 3


@pytest.mark.parametrize("kind", [AsyncioJobQueue, InMemoryJobQueue])
def test_one_queue_in_two_event_loops(kind: Any) -> None:
    """A queue that was left cleanly serves in another event loop, and keeps its records."""
    queue = kind(echo_handlers())

    async def one_life(text: str) -> str:
        async with lifespan(queue=queue):
            job_id: str = await queue.submit("echo", {"text": text})
            assert (await queue.wait(job_id)).result == text
            return job_id

    first = asyncio.run(one_life("first"))
    second = asyncio.run(one_life("second"))
    kept = asyncio.run(queue.list_jobs())
    assert [(job.job_id, job.result) for job in kept] == [(second, "second"), (first, "first")]


def test_started_queue_of_another_loop_is_refused_in_words() -> None:
    """A queue still running in one loop says so when an app in another loop uses it."""
    queue = AsyncioJobQueue(echo_handlers())

    async def use() -> None:
        async with lifespan(queue=queue):
            with pytest.raises(RuntimeError, match="outside the event loop that runs the queue"):
                await queue.submit("echo", {"text": "lost"})

    async def own() -> None:
        async with queue:
            await asyncio.to_thread(asyncio.run, use())
            assert (await queue.wait(await queue.submit("echo", {"text": "here"}))).result == "here"

    asyncio.run(own())


@pytest.mark.parametrize("kind", [AsyncioJobQueue, InMemoryJobQueue])
async def test_started_in_one_task_and_stopped_in_another(kind: Any) -> None:
    """Startup and shutdown may run in different tasks, as test fixtures have them."""
    queue = kind(echo_handlers())
    life = lifespan(FastAPI(), queue=queue)
    await asyncio.create_task(_start(life))
    assert (await queue.wait(await queue.submit("echo", {"text": "hello"}))).result == "hello"
    await asyncio.create_task(_stop(life))
    assert not queue.started


async def _start(life: Any) -> None:
    await life.__aenter__()


async def _stop(life: Any) -> None:
    await life.__aexit__(None, None, None)


async def test_lifespans_within_each_other() -> None:
    """An inner lifespan on one app uses the outer one's queue and leaves it running."""
    app = FastAPI()
    async with lifespan(app) as outer:
        async with lifespan(app) as inner:
            assert inner == outer
        queue = outer["job_queue"]
        assert app.state.job_queue is queue
        assert isinstance(queue, AsyncioJobQueue)
        assert queue.started
    assert not hasattr(app.state, "job_queue")


async def test_failed_start_leaves_the_app_startable__fault_23() -> None:
    """After a start that failed, nothing is on the app, and the next start works."""

    class FailsOnce(AsyncioJobQueue):
        failed = False

        async def __aenter__(self) -> Self:
            if not self.failed:
                self.failed = True
                raise BackendError("asyncio", "cannot start: no answer")
            await super().__aenter__()
            return self

    app = on_fastapi(partial(lifespan, queue=FailsOnce()))
    with pytest.raises(BackendError, match="cannot start: no answer"):
        async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None):
            pytest.fail("the app came up without its queue")
    assert not hasattr(app.state, "job_queue")
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None):
        assert app.state.job_queue.started


def _signal_handlers() -> dict[Any, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


async def test_signal_handlers_are_untouched__fault_28() -> None:
    """Signal handlers are the server's: the same before, within and after, in every phase."""
    before = _signal_handlers()
    async with lifespan(FastAPI(), handlers=echo_handlers()) as state:
        assert _signal_handlers() == before
        await state["job_queue"].submit("echo", {"text": "hello"})
        assert _signal_handlers() == before
    assert _signal_handlers() == before


@pytest.mark.parametrize("kind", [AsyncioJobQueue, InMemoryJobQueue])
def test_trio_is_refused_in_words(kind: Any) -> None:
    """Under trio the start fails with an error that says what is needed."""

    async def live() -> None:
        async with lifespan(FastAPI(), queue=kind()):
            pytest.fail("started under trio")

    with pytest.raises(BackendError) as caught:
        trio.run(live)
    assert str(caught.value) == (
        f"backend '{kind.name}' needs an asyncio event loop, and none is running here (trio? with"
        " anyio's pytest plugin let the fixture anyio_backend return 'asyncio')"
    )


@pytest.mark.parametrize("app", [on_fastapi(lifespan), with_jobs(only_http)])
def test_trio_fails_the_apps_startup(app: Any) -> None:
    """An app on a trio server fails at startup, with that reason, and does not half start."""
    told = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        told.append(message)

    with pytest.raises(BackendError, match="needs an asyncio event loop"):
        trio.run(app, {"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "needs an asyncio event loop" in told[0]["message"]
