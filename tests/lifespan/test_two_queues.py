"""Two queues on one app: each has a name, its own handlers and its own settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from litestar import Litestar
from litestar import Request as LitestarRequest
from litestar import get as litestar_get
from litestar.datastructures import State
from litestar.testing import TestClient as LitestarClient
from quart import Quart, current_app
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from stoat_jobs import (
    AsyncioJobQueue,
    HandlerMismatchError,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    get_queue,
    lifespan,
    with_jobs,
)

cpu, io = JobHandlers(), JobHandlers()


@cpu.job("work")
async def render(ctx: JobContext) -> str:
    return f"cpu of {ctx.app.state.title}"


@io.job("work")
async def fetch(ctx: JobContext) -> str:
    return f"io of {ctx.app.state.title}"


@asynccontextmanager
async def both(app: Any) -> AsyncIterator[dict[str, Any]]:
    """An app's lifespan with two queues."""
    app.state.title = "the app"
    async with (
        lifespan(app, handlers=cpu, settings=JobQueueSettings(concurrency=1), name="cpu") as one,
        lifespan(app, handlers=io, settings=JobQueueSettings(concurrency=8), name="io") as other,
    ):
        yield {**one, **other}


async def ask(request: Any) -> JSONResponse:
    """What both queues of the request say."""
    queues = get_queue(request, "cpu"), get_queue(request, "io")
    refs = await render.submit(queues[0]), await fetch.submit(queues[1])
    said = [(await queue.stats()).concurrency for queue in queues]
    return JSONResponse([*said, *[await ref.value() for ref in refs]])


EXPECTED = [1, 8, "cpu of the app", "io of the app"]


def test_each_name_has_its_queue() -> None:
    """A request finds each queue by its name, and its handlers see the app."""
    app = Starlette(lifespan=both, routes=[Route("/", ask)])
    with TestClient(app) as client:
        assert client.get("/").json() == EXPECTED
        assert get_queue(app, "cpu") is app.state.job_queue_cpu
        assert get_queue(app, "io") is app.state.job_queue_io
    assert vars(app.state)["_state"] == {"title": "the app"}


def test_a_mounted_app_finds_both() -> None:
    """In a mounted app the state of the request has both, under the names as attributes too."""
    seen = []

    async def look(request: Any) -> JSONResponse:
        seen.append((request.state.job_queue_cpu, request.state.job_queue_io))
        return await ask(request)

    inner = Starlette(routes=[Route("/", look)])
    with TestClient(Starlette(lifespan=both, routes=[Mount("/inner", inner)])) as client:
        assert client.get("/inner/").json() == EXPECTED
    assert len({id(queue) for queue in seen[0]}) == 2


def test_the_same_without_the_lifespans_state() -> None:
    """An app whose lifespan yields nothing has them on itself."""

    @asynccontextmanager
    async def quiet(app: Any) -> AsyncIterator[None]:
        async with both(app):
            yield

    with TestClient(FastAPI(lifespan=quiet, routes=[Route("/", ask)])) as client:
        assert client.get("/").json() == EXPECTED


async def test_a_job_goes_to_its_own_lane() -> None:
    """A job type that is submitted to the other queue is refused: no function runs for another."""
    app: Any = SimpleNamespace(state=SimpleNamespace())
    async with both(app):
        with pytest.raises(HandlerMismatchError):
            await fetch.submit(get_queue(app, "cpu"))


async def test_a_queue_without_a_name_stands_beside_them() -> None:
    """The default is as it was, and is not found under a name, nor a named one without it."""
    app: Any = SimpleNamespace(state=SimpleNamespace())
    async with lifespan(app) as one, lifespan(app, name="io") as other:
        assert {*one} | {*other} == {"job_queue", "job_queue_io"}
        assert get_queue(app) is one["job_queue"] is app.state.job_queue
        assert get_queue(app, "io") is other["job_queue_io"] is not get_queue(app)
    assert vars(app.state) == {}


@pytest.mark.parametrize("name", ["", 3, b"io", ["io"]])
async def test_a_name_is_text(name: Any) -> None:
    """What cannot be a name is refused, where it is given and where it is asked for."""
    app = SimpleNamespace(state=SimpleNamespace())
    with pytest.raises(TypeError, match="must be a non-empty string"):
        async with lifespan(app, name=name):
            pytest.fail("started")
    with pytest.raises(TypeError, match="must be a non-empty string"):
        get_queue(app, name)


@pytest.mark.parametrize("source", [FastAPI(), {"type": "http", "state": {"job_queue": 1}}])
def test_a_name_that_nothing_has(source: Any) -> None:
    """The error says which name, how a queue gets it, and what else may be the matter."""
    with pytest.raises(RuntimeError, match=r"named 'io'.*name='io'.*lifespan has not run"):
        get_queue(source, "io")


async def test_injected_by_name() -> None:
    """A test puts its queue where the app would have it, for each name."""
    queue = InMemoryJobQueue()
    app: Any = SimpleNamespace(state=SimpleNamespace(job_queue_io=queue, title="a test"))
    async with (
        lifespan(app, handlers=cpu, name="cpu") as one,
        lifespan(app, handlers=io, settings=JobQueueSettings(), name="io") as other,
    ):
        assert isinstance(one["job_queue_cpu"], AsyncioJobQueue)
        assert other == {"job_queue_io": queue}
        assert await (await fetch.submit(queue)).value() == "io of a test"
    assert app.state.job_queue_io is queue


async def test_a_second_lifespan_of_one_name_is_refused_its_settings__fault_59() -> None:
    """Each name has one queue: settings for a second one are an error."""
    app = SimpleNamespace(state=SimpleNamespace())
    async with lifespan(app, name="io"):
        with pytest.raises(ValueError, match="another lifespan"):
            async with lifespan(app, settings=JobQueueSettings(), name="io"):
                pytest.fail("started")


def test_under_litestar() -> None:
    """Litestar keeps both on the app."""

    @litestar_get("/", sync_to_thread=False)
    def read(request: LitestarRequest[Any, Any, State]) -> list[bool]:
        return [get_queue(request, name).started for name in ("cpu", "io")]

    lanes = [partial(lifespan, handlers=cpu, name="cpu"), partial(lifespan, name="io")]
    app = Litestar([read], lifespan=lanes, logging_config=None)
    with LitestarClient(app) as client:
        assert client.get("/").json() == [True, True]


async def test_under_quart() -> None:
    """Quart keeps both in its extensions."""
    app = Quart(__name__)
    app.add_url_rule(
        "/", view_func=lambda: [get_queue(current_app, name).started for name in ("cpu", "io")]
    )

    @app.while_serving
    async def jobs() -> Any:
        async with lifespan(app, name="cpu"), lifespan(app, name="io"):
            yield

    async with app.test_app() as running:
        answer = await running.test_client().get("/")
        assert await answer.get_json() == [True, True]
    assert not [key for key in app.extensions if "job_queue" in key]


async def test_wrapped_twice() -> None:
    """``with_jobs`` has a name too, and one around the other gives both."""
    found: list[Any] = []

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            found.extend(get_queue(scope, name) for name in ("cpu", "io"))
            await JSONResponse(None)(scope, receive, send)

    given = InMemoryJobQueue()
    app = with_jobs(with_jobs(bare, name="cpu"), queue=given, name="io")
    with TestClient(app) as client:
        client.get("/")
    assert isinstance(found[0], AsyncioJobQueue)
    assert found[1] is given
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(
            with_jobs(with_jobs(bare, queue=given, name="cpu"), queue=given, name="io")
        ),
        base_url="http://test",
    ) as without:
        await without.get("/")
    assert found[2:] == [given, given]


def test_a_sub_app_with_a_queue_of_its_own_finds_that__fault_59() -> None:
    """Where the outer app has a queue too, a mounted app's own is nearer."""
    inner = FastAPI(lifespan=partial(lifespan, handlers=io))
    inner.state.title = "inner"

    @inner.get("/")
    async def read(request: Request) -> str:
        return await (await fetch.submit(get_queue(request))).value()

    @asynccontextmanager
    async def outer_life(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with (
            lifespan(app, handlers=cpu) as state,
            inner.router.lifespan_context(inner),
        ):
            yield {**state}

    outer = FastAPI(lifespan=outer_life)
    outer.state.title = "outer"
    outer.mount("/inner", inner)

    @outer.get("/")
    async def read_outer(request: Request) -> str:
        return await (await render.submit(get_queue(request))).value()

    with TestClient(outer) as client:
        assert client.get("/inner/").json() == "io of inner"
        assert client.get("/").json() == "cpu of outer"


def test_a_queue_put_on_one_request_comes_first() -> None:
    """A middleware may give a request a queue of its own."""
    mine = InMemoryJobQueue()
    app = Starlette(lifespan=lifespan)
    with TestClient(app):
        assert get_queue({"app": app, "state": {"job_queue": mine}}) is mine
