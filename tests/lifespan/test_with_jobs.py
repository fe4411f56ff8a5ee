"""``with_jobs`` around apps that speak the lifespan protocol, that do not, and that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from quart import Quart, current_app, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    get_queue,
    with_jobs,
)

from ..support.recorded import RecordedQueue, UnreachableQueue
from ..support.scripted import ASGIApp, Message, Receive, Script, Send, only_http, run_lifespan

pytestmark = pytest.mark.usefixtures("tidy")

Scope = MutableMapping[str, Any]


class Inner:
    """An app with a lifespan of its own, which it writes down; it may break on the way."""

    def __init__(self, script: Script, **breaks: Callable[[Send], Any]) -> None:
        self.script = script
        self.breaks = breaks
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        try:
            for phase in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{phase}"
                self.script.log.append(f"inner {phase}")
                if phase in self.breaks:
                    await self.breaks[phase](send)
                await send({"type": f"lifespan.{phase}.complete"})
        finally:
            await asyncio.sleep(0)  # what it holds takes a moment to let go of
            self.script.log.append("inner gone")


async def live(app: ASGIApp, script: Script, queue: RecordedQueue) -> None:
    """Run *app* with *queue* around it from startup to shutdown."""
    script.end.set_result(None)
    await run_lifespan(with_jobs(app, queue=queue), script)


async def say_no(send: Send) -> None:
    await send({"type": "lifespan.startup.failed", "message": "no disk"})


async def say_no_and_raise(send: Send) -> None:
    await say_no(send)
    raise OSError("no disk")


async def say_no_at_the_end(send: Send) -> None:
    await send({"type": "lifespan.shutdown.failed", "message": "disk full"})


async def break_down(send: Send) -> None:
    raise OSError("disk full")


async def hang(send: Send) -> None:
    await asyncio.Event().wait()


async def test_inner_lifespan_runs_within_the_queue() -> None:
    """An app's own lifespan starts after the queue and ends before it."""
    script = Script()
    await live(Inner(script), script, RecordedQueue(script.log))
    assert script.log == [
        *("start", "inner startup", "startup.complete"),
        *("inner shutdown", "inner gone", "stop", "stopped", "shutdown.complete"),
    ]


async def test_inner_lifespan_sees_the_queue() -> None:
    """The queue is in the lifespan state before the app's own startup, which may use it."""
    script = Script()
    queue = RecordedQueue(script.log)
    inner = Inner(script)
    await live(inner, script, queue)
    assert inner.scope["state"] == {"job_queue": queue}


async def test_no_inner_lifespan() -> None:
    """An app that refuses the protocol by raising, as plain ASGI apps do, is served as well."""
    script = Script()
    await live(only_http, script, RecordedQueue(script.log))
    assert script.log == ["start", "startup.complete", "stop", "stopped", "shutdown.complete"]


async def test_inner_lifespan_ignored() -> None:
    """An app that returns from the protocol without an answer is served as well."""
    script = Script()

    async def shrug(scope: Scope, receive: Receive, send: Send) -> None:
        script.log.append("shrug")

    await live(shrug, script, RecordedQueue(script.log))
    assert script.log == [
        *("start", "shrug", "startup.complete", "stop", "stopped", "shutdown.complete")
    ]


@pytest.mark.parametrize("refusal", [say_no, say_no_and_raise])
async def test_inner_startup_fails(refusal: Callable[[Send], Any]) -> None:
    """An app whose own startup fails fails the whole startup, and the queue is stopped."""
    script = Script()
    inner = Inner(script, startup=refusal)
    with pytest.raises(RuntimeError, match="no disk"):
        await live(inner, script, RecordedQueue(script.log))
    assert script.log == [
        *("start", "inner startup", "inner gone"),
        *("stop", "stopped", "startup.failed"),
    ]


@pytest.mark.parametrize("breaking", [say_no_at_the_end, break_down])
async def test_inner_shutdown_fails(breaking: Callable[[Send], Any]) -> None:
    """An app whose own shutdown fails is reported, after the queue was stopped."""
    script = Script()
    inner = Inner(script, shutdown=breaking)
    with pytest.raises((RuntimeError, OSError), match="disk full"):
        await live(inner, script, RecordedQueue(script.log))
    assert script.log == [
        *("start", "inner startup", "startup.complete"),
        *("inner shutdown", "inner gone", "stop", "stopped", "shutdown.failed"),
    ]


async def test_inner_startup_given_up() -> None:
    """An app whose own startup hangs ends with it, before the queue that it may be using."""
    script = Script()
    queue = RecordedQueue(script.log)
    app = asyncio.create_task(live(Inner(script, startup=hang), script, queue))
    await script.until("inner startup")
    app.cancel()
    with pytest.raises(asyncio.CancelledError):
        await app
    assert script.log == ["start", "inner startup", "inner gone", "stop", "stopped"]


async def test_inner_lifespan_after_a_failed_body() -> None:
    """When the server breaks down, the app's own lifespan ends before the queue."""
    script = Script()
    queue = RecordedQueue(script.log)
    app = asyncio.create_task(run_lifespan(with_jobs(Inner(script), queue=queue), script))
    await script.until("startup.complete")
    script.end.set_exception(OSError("the server broke down"))
    with pytest.raises(OSError, match="the server broke down"):
        await app
    assert script.log == [
        *("start", "inner startup", "startup.complete"),
        *("inner shutdown", "inner gone", "stop", "stopped", "shutdown.failed"),
    ]


async def test_inner_lifespan_not_reached() -> None:
    """Where the queue cannot start, the app's own startup is not begun."""
    script = Script()
    with pytest.raises(RuntimeError, match="no answer"):
        await live(Inner(script), script, UnreachableQueue(script.log))
    assert script.log == ["start", "startup.failed"]


async def test_failure_says_why() -> None:
    """The server is told the reason in words, for its log."""
    told: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        told.append(message)

    app = with_jobs(only_http, queue=UnreachableQueue([]))
    with pytest.raises(RuntimeError, match="no answer"):
        await app({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "cannot start: no answer from localhost:5432" in told[0]["message"]


async def get(app: ASGIApp, path: str = "/") -> str:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.get(path)).text


async def test_requests_find_the_queue() -> None:
    """Each request has the started queue in its scope, also from a server without state."""
    app = with_jobs(only_http)
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None):
        assert await get(app) == "True"


async def test_requests_keep_the_state_of_the_inner_lifespan() -> None:
    """What the app's own lifespan yields reaches its requests, next to the queue."""

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}

    async def greet(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.state.greeting} {request.state.job_queue.name}")

    app = with_jobs(Starlette(lifespan=own, routes=[Route("/", greet)]))
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager:
        assert await get(manager.app) == "hello asyncio"


async def test_requests_without_a_lifespan_have_no_queue() -> None:
    """A server that never speaks the protocol gets no queue, half started or leaked."""
    with pytest.raises(KeyError, match="state"):
        await get(with_jobs(only_http))


async def test_requests_after_the_lifespan_have_no_queue() -> None:
    """A stopped queue is not handed to requests that come too late."""
    app = with_jobs(only_http)
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None):
        pass
    with pytest.raises(KeyError, match="state"):
        await get(app)


async def test_started_twice_in_a_row() -> None:
    """A wrapped app can be started again; a queue that is built is a new one each time."""
    seen = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["job_queue"])

    app = with_jobs(note)
    for _ in range(2):
        script = Script()
        script.end.set_result(None)
        await run_lifespan(app, script)
        assert script.log == ["startup.complete", "shutdown.complete"]
    first, second = seen
    assert first is not second
    assert isinstance(first, AsyncioJobQueue)


async def test_handlers_see_the_wrapped_app() -> None:
    """``ctx.app`` is the app that was wrapped."""
    handlers = JobHandlers()
    seen = []

    @handlers.job
    async def look(ctx: JobContext) -> None:
        seen.append(ctx.app)

    queue = InMemoryJobQueue()
    script = Script()
    app = asyncio.create_task(
        run_lifespan(with_jobs(only_http, queue=queue, handlers=handlers), script)
    )
    await script.until("startup.complete")
    await queue.submit("look")
    script.end.set_result(None)
    await app
    assert seen == [only_http]


async def test_quart_is_wrapped_in_one_line_and_starts_again() -> None:
    """``app.asgi_app = with_jobs(app.asgi_app)``: requests and handlers know the app itself."""
    handlers = JobHandlers()
    seen: list[Any] = []

    @handlers.job
    async def look(ctx: JobContext) -> None:
        seen.append(ctx.app)

    app = Quart(__name__)
    app.asgi_app = with_jobs(app.asgi_app, handlers=handlers)  # type: ignore[assignment,method-assign]

    @app.get("/")
    async def read() -> str:
        queue = get_queue(request)
        assert queue is get_queue(current_app)
        return (await queue.wait(await queue.submit("look"))).status

    for _ in range(2):
        async with app.test_app() as running:
            assert await (await running.test_client().get("/")).get_data() == b"completed"
    assert seen == [app, app]
