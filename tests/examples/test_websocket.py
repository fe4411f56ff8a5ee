"""The page on WebSockets: the job is shown to its end, and a client that leaves is let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from how_to.websocket import create_app
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers

from ..support import SAFETY_NET


class Socket:
    """A client's end of a WebSocket, and the application's task behind it."""

    def __init__(self, app: Any, job_id: str) -> None:
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.fails = False
        scope = {
            "type": "websocket",
            "path": f"/jobs/{job_id}/changes",
            "headers": [],
            "query_string": b"",
            "root_path": "",
            "app": app,
            "subprotocols": [],
        }
        self.to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(scope, self.to_app.get, self.take))

    async def take(self, message: Any) -> None:
        if self.fails:
            raise OSError("the client is gone")
        self.from_app.put_nowait(message)

    async def message(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.from_app.get(), SAFETY_NET)

    async def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((await self.message())["text"])
        return record

    async def ended(self) -> None:
        await asyncio.wait_for(self.task, SAFETY_NET)


@pytest.fixture
async def step() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def queue(step: asyncio.Event) -> AsyncIterator[AsyncioJobQueue]:
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext) -> str:
        ctx.set_progress(0.5, "half")
        await step.wait()
        raise RuntimeError("the password is hunter2")

    async with AsyncioJobQueue(handlers) as queue:
        yield queue


@pytest.fixture
async def connect(queue: AsyncioJobQueue) -> Callable[[str], Socket]:
    app = create_app(queue)
    app.state.job_queue = queue
    return lambda job_id: Socket(app, job_id)


async def running(queue: AsyncioJobQueue) -> str:
    """The id of a job that is half done, and stays so."""
    job_id = await queue.submit("work")
    async for record in queue.watch(job_id):
        if record.progress is not None:
            break
    return job_id


async def test_a_job_to_its_end(
    queue: AsyncioJobQueue, connect: Callable[[str], Socket], step: asyncio.Event
) -> None:
    """The client gets the record as it is, then the last one, without the text of an error."""
    socket = connect(await running(queue))
    assert (await socket.message())["type"] == "websocket.accept"
    assert (await socket.record())["message"] == "half"
    step.set()
    last = await socket.record()
    assert (last["status"], last["error_type"]) == ("failed", "RuntimeError")
    assert "error" not in last
    assert await socket.message() == {"type": "websocket.close", "code": 1000, "reason": ""}
    await socket.ended()


async def test_a_client_that_leaves(
    queue: AsyncioJobQueue, connect: Callable[[str], Socket]
) -> None:
    """A client that leaves ends the watching, although the job says nothing new."""
    socket = connect(await running(queue))
    for _ in range(2):
        await socket.message()
    tasks = len(asyncio.all_tasks())
    socket.to_app.put_nowait({"type": "websocket.receive", "text": "hello"})
    socket.to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
    await socket.ended()
    assert len(asyncio.all_tasks()) < tasks
    assert [job.status for job in await queue.list_jobs()] == ["running"]


async def test_a_client_that_leaves_in_the_middle(
    queue: AsyncioJobQueue, connect: Callable[[str], Socket], step: asyncio.Event
) -> None:
    """A client that is gone when something is sent to it is no error of the server."""
    socket = connect(await running(queue))
    for _ in range(2):
        await socket.message()
    socket.fails = True
    step.set()
    await socket.ended()


async def test_an_unknown_job(connect: Callable[[str], Socket]) -> None:
    """An unknown job is refused before the WebSocket is accepted."""
    socket = connect("unknown")
    message = await socket.message()
    assert (message["type"], message["code"]) == ("websocket.close", 1008)
    await socket.ended()
