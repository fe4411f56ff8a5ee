"""Four ways to hang the queue on an app, driven through one script and logged in one list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette

from stoat_jobs import JobBackend, lifespan, with_jobs

from . import SAFETY_NET

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Script:
    """What is to happen to one app, and the log of what did.

    The body of the app's life lasts until ``end`` is settled: with a value the server shuts
    down, with an exception the body fails.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until(self, entry: str) -> None:
        """Wait until *entry* is in the log."""

        async def look() -> None:
            while entry not in self.log:
                await asyncio.sleep(0)

        await asyncio.wait_for(look(), SAFETY_NET)


class Host:
    """An app with a queue, and how it is run."""

    fails_aloud = True
    """Whether it tells the server of a failure."""
    cancelled_aloud = True
    """Whether it tells the server that it was cancelled."""

    def __init__(self, queue: JobBackend) -> None:
        self.queue = queue
        self.app = self.make(partial(lifespan, queue=queue))

    def make(self, hung: Callable[..., Any]) -> Any:
        """The app, with *hung* as its lifespan."""
        return SimpleNamespace(state=SimpleNamespace())

    async def live(self, script: Script) -> None:
        """Run the app from startup to shutdown."""
        await run_lifespan(self.app, script)

    def reply(self, phase: str, *, cancelled: bool = False) -> list[str]:
        """What the server is told when *phase* fails."""
        aloud = self.cancelled_aloud if cancelled else self.fails_aloud
        return [f"{phase}.failed"] if aloud else []


class Plain(Host):
    """``async with lifespan(app):``, nothing else."""

    fails_aloud = cancelled_aloud = False

    async def live(self, script: Script) -> None:
        async with lifespan(self.app, queue=self.queue):
            script.log.append("startup.complete")
            await script.end
        script.log.append("shutdown.complete")


class Bare(Host):
    """``with_jobs`` around an ASGI app that knows no lifespan."""

    cancelled_aloud = False

    def make(self, hung: Callable[..., Any]) -> Any:
        return with_jobs(only_http, queue=self.queue)


class OnStarlette(Host):
    """``Starlette(lifespan=...)``."""

    def make(self, hung: Callable[..., Any]) -> Any:
        return Starlette(lifespan=hung)


class OnFastAPI(Host):
    """``FastAPI(lifespan=...)``."""

    def make(self, hung: Callable[..., Any]) -> Any:
        return FastAPI(lifespan=hung)


HOSTS = [Plain, Bare, OnStarlette, OnFastAPI]


async def only_http(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """An app that refuses the lifespan protocol by raising, as the specification has it."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = repr(scope["state"]["job_queue"].started).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def run_lifespan(app: ASGIApp, script: Script, state: dict[str, Any] | None = None) -> None:
    """Speak the lifespan protocol to *app* as a server does."""
    startup = [{"type": "lifespan.startup"}]

    async def receive() -> Message:
        if startup:
            return startup.pop()
        await script.end
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        script.log.append(message["type"].removeprefix("lifespan."))

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state or {}}
    await app(scope, receive, send)
