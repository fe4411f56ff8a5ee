"""Whatever a request that is held open waits for, it ends with its client, its server or its time.

Each is tried with tasks that begin in their turn, and with tasks that begin at once (Python 3.12).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobResult
from stoat_jobs.http import (
    AccessRequest,
    HttpLimits,
    Operation,
    _held_requests,
    _sse,
    allow_all,
    jobs_app,
)

from ..support import SAFETY_NET
from ..support.mounted import SETTINGS, Works

# Of one job, by its id; and of all jobs.
STREAMS = ["/{job_id}/events", "/events"]
HELD = [*STREAMS, "/{job_id}/wait?timeout=60"]


@pytest.fixture(params=[False, True], ids=["in turn", "at once"], autouse=True)
async def beginning(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """When tasks begin. A Python that cannot begin them at once runs the test once more."""
    loop = asyncio.get_running_loop()
    at_once = getattr(asyncio, "eager_task_factory", None) if request.param else None
    loop.set_task_factory(at_once)
    yield
    loop.set_task_factory(None)


class Visitor:
    """A client with no server in between."""

    def __init__(self, app: Any, path: str) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._news = asyncio.Event()
        path, _, query = path.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        self.task = asyncio.ensure_future(
            app({**scope, "query_string": query.encode()}, self._receive, self._send)
        )

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self._news.set()
        await self.reads.wait()

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def until(self, text: bytes) -> None:
        async def look() -> None:
            while text not in self.body:
                await self._news.wait()
                self._news.clear()

        await asyncio.wait_for(look(), SAFETY_NET)

    async def answered(self) -> int | None:
        """The status, once the answer is complete."""
        await asyncio.wait_for(self.task, SAFETY_NET)
        return self.status


class Broken(Visitor):
    """A client whose connection breaks while it is listened to."""

    async def _receive(self) -> dict[str, Any]:
        raise OSError("connection reset")


class Place:
    """An app in which one request at a time may be held open, and its queue with a running job."""

    def __init__(self, works: Works, job_id: str, app: Any) -> None:
        self.works = works
        self.queue: Any = works.queue
        self._job_id = job_id
        self._app = app

    def visit(self, path: str, kind: type[Visitor] = Visitor) -> Visitor:
        return kind(self._app, path.replace("{job_id}", self._job_id))

    async def is_free(self) -> bool:
        """Whether one more request may be held open."""
        visitor = self.visit("/{job_id}/wait?timeout=0")
        await visitor.task
        return visitor.status == 202

    async def becomes_free(self) -> None:
        async def ask() -> None:
            while not await self.is_free():
                await asyncio.sleep(0)

        await asyncio.wait_for(ask(), SAFETY_NET)


@asynccontextmanager
async def one_place(authorize: Any = allow_all, **limits: Any) -> AsyncIterator[Place]:
    works = Works(SETTINGS)
    options = {"authorize": authorize, "limits": HttpLimits(max_open=1, **limits)}
    async with works.queue:
        job_id = await works.queue.submit("held")
        before = asyncio.all_tasks()
        yield Place(works, job_id, jobs_app(queue=works.queue, **options))
        assert asyncio.all_tasks() == before


class Slow:
    """An ``authorize`` that takes its time the second time that it is asked of a stream."""

    def __init__(self, *, resists: bool = False) -> None:
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self._resists = resists
        self._times = 0

    async def __call__(self, access: AccessRequest) -> bool:
        if access.operation in (Operation.EVENTS, Operation.WATCH_ALL):
            self._times += 1
            if self._times == 2:
                self.asked.set()
                await self._wait()
        return True

    async def _wait(self) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            if not self._resists:
                raise
            await self.gate.wait()


async def seen(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), SAFETY_NET)


async def test_a_stream_of_all_jobs_begins_while_nothing_happens__fault_67() -> None:
    """Who follows all jobs is shown those that are there at once, also where none changes."""
    async with one_place() as place:
        visitor = place.visit("/events")
        await visitor.until(b"event: snapshot\n")
        visitor.gone.set()
        await visitor.answered()


@pytest.mark.parametrize("path", HELD)
async def test_a_client_that_leaves_is_seen_to_leave__fault_67(path: str) -> None:
    """Its request ends, with all its tasks, and its place is free."""
    async with one_place() as place:
        visitor = place.visit(path)
        if path in STREAMS:
            await visitor.until(b"data: ")
            assert not await place.is_free()
        visitor.gone.set()
        await visitor.answered()
        assert await place.is_free()


@pytest.mark.parametrize("path", HELD)
async def test_a_client_that_is_gone_before_it_is_held__fault_67(path: str) -> None:
    """A request whose client has left already ends by itself."""
    async with one_place() as place:
        for _ in range(3):
            visitor = place.visit(path)
            visitor.gone.set()
            await visitor.answered()
        assert await place.is_free()


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("resists", [False, True])
async def test_a_client_that_leaves_while_authorize_is_asked__fault_67(
    path: str, resists: bool
) -> None:
    """A place is not kept for the sake of an answer that nobody waits for."""
    authorize = Slow(resists=resists)
    async with one_place(authorize) as place:
        visitor = place.visit(path)
        await seen(authorize.asked)
        assert not await place.is_free()
        visitor.gone.set()
        await place.becomes_free()
        authorize.gate.set()
        await visitor.answered()
        assert b"data: " not in visitor.body


@pytest.mark.parametrize("path", STREAMS)
async def test_the_age_of_a_stream_counts_from_its_place__fault_67(path: str) -> None:
    """A stream that could not begin within its greatest age gives its place back."""
    authorize = Slow()
    async with one_place(authorize, max_stream_age=0.01) as place:
        visitor = place.visit(path)
        await seen(authorize.asked)
        assert await visitor.answered() == 200
        assert visitor.body == b""
        assert await place.is_free()


@pytest.mark.parametrize("path", STREAMS)
async def test_a_server_that_stops_before_a_stream_has_begun__fault_67(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends without an event, after which a browser comes back by itself."""
    authorize = Slow()
    async with one_place(authorize) as place:
        visitor = place.visit(path)
        await seen(authorize.asked)
        monkeypatch.setattr(_held_requests, "server_is_stopping", lambda: True)
        assert await visitor.answered() == 200
        assert (visitor.body, visitor.sent[-1]["more_body"]) == (b"", False)


@pytest.mark.parametrize(
    ("path", "method"),
    [("/events", "list_jobs"), ("/events", "stats"), ("/{job_id}/wait?timeout=60", "wait")],
)
async def test_a_client_that_leaves_while_the_queue_is_read__fault_67(
    path: str, method: str
) -> None:
    """A backend that takes its time keeps no place for a client that has gone."""
    async with one_place() as place:
        asked = asyncio.Event()
        reads = getattr(place.queue, method)

        async def slow(*_: Any, **__: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

        setattr(place.queue, method, slow)
        visitor = place.visit(path)
        await seen(asked)
        setattr(place.queue, method, reads)
        visitor.gone.set()
        await visitor.answered()
        assert await place.is_free()


async def test_a_client_that_leaves_before_the_first_record__fault_67() -> None:
    """A watch that has nothing to say yet keeps no place for a client that has gone."""
    async with one_place() as place:
        asked = asyncio.Event()

        async def watch(job_id: str) -> AsyncIterator[JobResult[Any]]:
            asked.set()
            await asyncio.Event().wait()
            yield await place.queue.get_result(job_id)

        place.queue.watch = watch
        visitor = place.visit("/{job_id}/events")
        await seen(asked)
        visitor.gone.set()
        await visitor.answered()
        assert await place.is_free()


@pytest.mark.parametrize("path", STREAMS)
async def test_a_client_that_leaves_and_takes_nothing__fault_67(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent waits for no client that has gone, from the first message on."""
    monkeypatch.setattr(_sse, "_END_TIMEOUT", 0.01)
    async with one_place(max_stream_age=60) as place:
        visitor = place.visit(path)
        visitor.reads.clear()
        while not visitor.sent:  # it takes not even the beginning
            await asyncio.sleep(0)
        visitor.gone.set()
        await visitor.answered()
        assert await place.is_free()


@pytest.mark.parametrize("path", HELD)
async def test_a_client_of_which_nothing_is_heard__fault_67(path: str) -> None:
    """A connection that breaks while it is listened to is a client that has left."""
    async with one_place() as place:
        await place.visit(path, Broken).answered()
        assert await place.is_free()


async def test_readers_of_a_feed_that_come_and_go__fault_67() -> None:
    """However tasks begin, the last reader ends the looking, and the next begins it anew."""
    async with one_place() as place:
        assert isinstance(place.queue, AsyncioJobQueue)
        for n in range(3):
            job_id = await place.queue.submit("double", {"n": n})
            await place.queue.wait(job_id)
            visitor = place.visit("/events")
            await visitor.until(f'"{job_id}"'.encode())
            assert visitor.body.count(b"event: snapshot\n") == 1
            visitor.gone.set()
            await visitor.answered()
