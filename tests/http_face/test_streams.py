"""Streams and long polls over real sockets: uvicorn on one side, clients that leave on the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from httpx_sse import ServerSentEvent, aconnect_sse
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from stoat_jobs import JobResult, lifespan
from stoat_jobs.http import HttpLimits, _held_requests, jobs_app

from ..support import SAFETY_NET
from ..support.mounted import BOTH_FACES, JOBS, OPEN, SETTINGS, Face, Works, serving
from ..support.serving import on_socket
from ..support.stores import TextJobQueue, TextStore
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
MANY = 200
NO_JOB = "5f0c3b0e-8f0e-4f43-9a4e-0b9a6f2f7f0d"


@asynccontextmanager
async def on_uvicorn(host: Callable[..., Any], **limits: Any) -> AsyncIterator[Face]:
    """A client of the app that *host* makes, on a real server."""
    works = Works(SETTINGS)
    app = host(works, **OPEN, limits=HttpLimits(**limits))
    async with on_socket(app) as client:
        await client.get(f"{JOBS}/health")  # the server has started
        yield Face(client, works)


class Caller:
    """A client that asks over a socket of its own, and may leave at any time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def asking(cls, face: Face, path: str) -> Caller:
        """One that has asked for *path*, and has read nothing."""
        url = face.client.base_url
        caller = cls(*await asyncio.open_connection(url.host, url.port))
        caller.writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await caller.writer.drain()
        return caller

    async def until(self, text: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(text), SAFETY_NET)

    def leave(self) -> None:
        """Go away without a word, as a phone in a tunnel does once its system notices."""
        self.writer.transport.abort()


async def status(face: Face, path: str) -> int:
    """The status of an answer whose body is not waited for."""
    async with face.client.stream("GET", path) as answer:
        return answer.status_code


async def answered(face: Face, path: str) -> None:
    """Ask for *path* until there is a place; a server learns of a client's leaving in its time."""

    async def ask() -> None:
        while await status(face, path) in (429, 503):
            await asyncio.sleep(0)

    await asyncio.wait_for(ask(), SAFETY_NET)


@BY_FACE
async def test_a_client_of_another_make_follows_a_job(host: Any) -> None:
    """An independent client sees each change as it comes, and the end last."""
    async with on_uvicorn(host) as face:
        place = await face.begun("held", message="half")
        async with aconnect_sse(face.client, "GET", f"{place}/events") as source:
            events = source.aiter_sse()
            first = await _with_message(events)
            face.works.gate.set()
            last = await anext(events)
            assert (first.event, last.event) == ("change", "end")
            assert json.loads(last.data)["result"] == "let go"
            assert await anext(events, None) is None
        tag = (await face.get(place)).headers["etag"]
        assert tag == f'"{last.id}"'


async def _with_message(events: AsyncIterator[ServerSentEvent]) -> ServerSentEvent:
    """The first event that has a message."""
    async for each in events:
        if json.loads(each.data)["message"]:
            return each
    raise AssertionError("the stream ended")


@BY_FACE
async def test_a_client_that_comes_back(host: Any) -> None:
    """Who says which event it has seen is not sent that again, but what came since."""
    async with on_uvicorn(host) as face:
        place = await face.begun("held", message="half")
        async with aconnect_sse(face.client, "GET", f"{place}/events") as source:
            seen = await _with_message(source.aiter_sse())
        back = {"last-event-id": seen.id}
        async with aconnect_sse(face.client, "GET", f"{place}/events", headers=back) as source:
            face.works.gate.set()
            assert [each.event async for each in source.aiter_sse()] == ["end"]


async def test_an_idle_stream_shows_signs_of_life__fault_25() -> None:
    """A stream without news sends a comment now and then, and no event for it."""
    async with on_uvicorn(BOTH_FACES[0], heartbeat=0.01) as face:
        place = await face.begun("held")
        caller = await Caller.asking(face, f"{place}/events")
        assert b"\nretry: 2000\n" in await caller.until(b"data: ")
        for _ in range(3):
            await caller.until(b": alive\n\n")
        caller.leave()


async def test_a_stream_does_not_grow_older_than_it_may__fault_25() -> None:
    """At its greatest age a stream ends in order, without saying that the job did."""
    async with on_uvicorn(BOTH_FACES[0], max_stream_age=0.1) as face:
        place = await face.begun("held")
        async with aconnect_sse(face.client, "GET", f"{place}/events") as source:
            events = [each.event async for each in source.aiter_sse()]
        assert set(events) == {"change"}


async def test_a_stream_ends_when_the_queue_closes__fault_25() -> None:
    """The job that the closing queue stops is the last that its streams tell."""
    async with on_uvicorn(BOTH_FACES[0]) as face:
        place = await face.begun("held")
        async with aconnect_sse(face.client, "GET", f"{place}/events") as source:
            events = source.aiter_sse()
            await anext(events)
            await face.works.queue.__aexit__(None, None, None)
            received = [json.loads(each.data) async for each in events]
        assert (received[-1]["status"], received[-1]["error_type"]) == ("cancelled", "Shutdown")
        assert (await face.get("/health")).status_code == 503
        answer = await face.post("/", json={"job_type": "held"})
        assert is_problem(answer, 503, "queue-closed")
        assert answer.headers["retry-after"]


async def test_a_stream_ends_when_a_durable_queue_closes__fault_25() -> None:
    """Where the job goes on in the next life of its queue, the stream ends without its end."""
    works = Works(SETTINGS)
    async with _waiting_in_a_store(works) as (queue, app), on_socket(app) as client:
        place = f"{JOBS}/{await queue.submit('held')}"
        async with aconnect_sse(client, "GET", f"{place}/events") as source:
            events = source.aiter_sse()
            assert (await anext(events)).event == "change"
            await queue.__aexit__(None, None, None)
            assert await anext(events, None) is None
        poll = await client.get(f"{place}/wait?timeout=20")
        assert is_problem(poll, 503, "queue-closed")


@asynccontextmanager
async def _waiting_in_a_store(works: Works) -> AsyncIterator[tuple[TextJobQueue, Starlette]]:
    """A queue with a store whose only slot is taken, and its app."""
    settings = SETTINGS.model_copy(update={"concurrency": 1})
    async with TextJobQueue(works.handlers, settings, store=TextStore()) as queue:
        await queue.submit("held")
        app = Starlette(lifespan=partial(lifespan, queue=queue))
        app.mount(JOBS, jobs_app(**OPEN))
        yield queue, app
        works.gate.set()


@BY_FACE
@pytest.mark.parametrize("path", ["/events", "/wait?timeout=60"])
async def test_a_client_that_leaves_before_the_first_byte__fault_51(host: Any, path: str) -> None:
    """Who asks and is gone at once leaves no place taken."""
    async with on_uvicorn(host, max_open=1) as face:
        place = await face.begun("held")
        for _ in range(5):
            (await Caller.asking(face, place + path)).leave()
        await answered(face, f"{place}/wait?timeout=0")


@BY_FACE
async def test_a_client_that_leaves_in_the_middle__fault_51(host: Any) -> None:
    """Who leaves between two events leaves no place taken, though nothing more is sent."""
    async with on_uvicorn(host, max_open=1) as face:
        place = await face.begun("held")
        caller = await Caller.asking(face, f"{place}/events")
        await caller.until(b"event: change\n")
        assert await status(face, f"{place}/events") == 503
        caller.leave()
        await answered(face, f"{place}/events")


def behind_middleware(works: Works, **options: Any) -> Any:
    """With what applications put around theirs, some of which takes hold of the stream."""

    async def pass_on(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    app = BOTH_FACES[0](works, **options)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(GZipMiddleware)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    return app


async def test_streams_behind_middleware__fault_51() -> None:
    """Middleware around the app holds no event back, and hides no client's leaving."""
    async with on_uvicorn(behind_middleware, max_open=1) as face:
        place = await face.begun("held", message="half")
        for _ in range(3):
            async with aconnect_sse(face.client, "GET", f"{place}/events") as source:
                assert source.response.status_code == 200
                await _with_message(source.aiter_sse())
            await answered(face, f"{place}/wait?timeout=0")
        caller = await Caller.asking(face, f"{place}/wait?timeout=60")
        await _until_full(face, place)
        caller.leave()
        await answered(face, f"{place}/events")


async def test_a_client_that_leaves_its_long_poll__fault_51() -> None:
    """Who leaves a long poll leaves no place taken."""
    async with on_uvicorn(BOTH_FACES[0], max_open=1) as face:
        place = await face.begun("held")
        caller = await Caller.asking(face, f"{place}/wait?timeout=60")
        await _until_full(face, place)
        caller.leave()
        await answered(face, f"{place}/events")


async def _until_full(face: Face, place: str) -> None:
    async def look() -> None:
        while await status(face, f"{place}/wait?timeout=0") == 202:
            await asyncio.sleep(0)

    await asyncio.wait_for(look(), SAFETY_NET)


@BY_FACE
async def test_two_hundred_clients_leave_at_once__fault_51(host: Any) -> None:
    """As many streams as may be are open, one more is refused, all leave, and one more works."""
    async with on_uvicorn(host, max_open=MANY, max_open_per_client=MANY) as face:
        place = await face.begun("held")
        callers = [await Caller.asking(face, f"{place}/events") for _ in range(MANY)]
        await asyncio.gather(*(caller.until(b"event: change\n") for caller in callers))
        answer = await face.get(f"{place}/events")
        assert is_problem(answer, 503, "too-many-open")
        assert answer.headers["retry-after"]
        for caller in callers:
            caller.leave()
        await answered(face, f"{place}/events")


async def test_one_client_does_not_take_all_places__fault_51() -> None:
    """One address has so many streams and long polls open; one more is answered with 429."""
    async with on_uvicorn(BOTH_FACES[0], max_open_per_client=2) as face:
        place = await face.begun("held")
        async with AsyncExitStack() as stack:
            for path in ("events", "events"):
                await stack.enter_async_context(face.client.stream("GET", f"{place}/{path}"))
            for path in ("events", "wait"):
                answer = await face.get(f"{place}/{path}")
                assert is_problem(answer, 429, "too-many-open-for-one-client")
                assert answer.headers["retry-after"]
            assert (await face.get(place)).status_code == 200
        await answered(face, f"{place}/events")


async def test_a_client_that_does_not_read__fault_51() -> None:
    """Who reads nothing of a large record loses its place when the stream is too old."""
    async with on_uvicorn(BOTH_FACES[0], max_open=1, max_stream_age=0.2) as face:

        async def large(ctx: Any) -> str:
            await face.works.gate.wait()
            return "x" * 20_000_000

        face.works.handlers.register("large", large)
        place = await face.begun("large")
        caller = await Caller.asking(face, f"{place}/events")
        await caller.until(b"event: change\n")
        caller.reader._transport.pause_reading()  # type: ignore[attr-defined]
        face.works.gate.set()
        await answered(face, f"{JOBS}/{await face.works.queue.submit('held')}/events")
        caller.leave()


@pytest.mark.parametrize("path", ["/events", "/wait"])
async def test_a_request_that_is_cancelled__fault_51(path: str) -> None:
    """What the server cuts off, as after its time limit for the shutdown, leaves nothing behind."""
    works = Works(SETTINGS)
    async with works.queue:
        app = jobs_app(queue=works.queue, limits=HttpLimits(max_open=1))
        job_id = await works.queue.submit("held")
        before = asyncio.all_tasks()
        for _ in range(3):
            begun = asyncio.Event()
            request = asyncio.create_task(_ask_for_ever(app, f"/{job_id}{path}", begun))
            await asyncio.wait_for(begun.wait(), SAFETY_NET)
            request.cancel()
            await asyncio.wait({request})
            assert request.cancelled()
            assert asyncio.all_tasks() == before


async def _ask_for_ever(app: Any, path: str, begun: asyncio.Event) -> None:
    """Speak to *app* as a server does whose client waits."""

    async def receive() -> Any:
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)


async def test_refusals_take_no_place__fault_51() -> None:
    """What is not found, not allowed or broken gives its place back."""
    async with serving(BOTH_FACES[0], **OPEN, limits=HttpLimits(max_open=1)) as face:
        for _ in range(3):
            assert (await face.get(f"/{NO_JOB}/events")).status_code == 404
            assert (await face.get(f"/{NO_JOB}/wait")).status_code == 404
        assert (await face.get(f"{await face.begun('held')}/wait?timeout=0")).status_code == 202


async def test_a_queue_that_breaks_down(caplog: pytest.LogCaptureFixture) -> None:
    """A stream whose queue fails in the middle ends, gives its place back, and the log says why."""
    async with serving(BOTH_FACES[0], **OPEN, limits=HttpLimits(max_open=1)) as face:
        place = await face.begun("held")

        async def fails(job_id: str) -> AsyncIterator[JobResult[Any]]:
            yield await face.works.queue.get_result(job_id)
            raise ValueError("hunter2")

        face.works.queue.watch = fails  # type: ignore[method-assign]
        for _ in range(2):
            with caplog.at_level(logging.ERROR, "stoat_jobs"):
                answer = await face.get(f"{place}/events")
            assert answer.status_code == 200
            assert "hunter2" not in answer.text
        logged = [line.message for line in caplog.records if line.levelno >= logging.ERROR]
        assert logged == ["stream_failed"] * 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_generator_of_records_is_closed(method: str) -> None:
    """A backend's watch may be a generator: it is closed with its stream, wherever it stands."""
    async with serving(BOTH_FACES[0], **OPEN, limits=HttpLimits(max_stream_age=0.01)) as face:
        log: list[str] = []

        async def watch(job_id: str) -> AsyncIterator[JobResult[Any]]:
            try:
                yield await face.works.queue.get_result(job_id)
                await asyncio.Event().wait()
            finally:
                log.append("closed")

        face.works.queue.watch = watch  # type: ignore[method-assign]
        await face.client.request(method, f"{await face.begun('held')}/events")
        assert log == ["closed"]


def test_two_event_loops_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that is started again, as in tests, notices in its new event loop, too, that it ends."""
    app = jobs_app(**OPEN, limits=HttpLimits(max_open=1))
    assert asyncio.run(_wait_in_a_life_of(app, 0.01)) == 202
    monkeypatch.setattr(_held_requests, "server_is_stopping", lambda: True)
    assert asyncio.run(_wait_in_a_life_of(app, 60)) == 202


async def _wait_in_a_life_of(app: Any, timeout: float) -> int:
    works = Works(SETTINGS)
    outer = Starlette(lifespan=partial(lifespan, queue=works.queue))
    outer.mount(JOBS, app)
    async with serving(lambda *_, **__: outer) as face:
        place = f"{JOBS}/{await works.queue.submit('held')}"
        asking = face.get(f"{place}/wait?timeout={timeout}")
        return (await asyncio.wait_for(asking, SAFETY_NET)).status_code
