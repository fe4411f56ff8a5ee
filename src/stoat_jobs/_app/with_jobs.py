"""Wraps a bare ASGI app in one that speaks the lifespan protocol and runs a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any

from .._jobs.handlers import JobHandlers
from .._jobs.protocols import AsyncJobQueue
from .._model.settings import JobQueueSettings
from .._text import describe
from .get_queue import key_of
from .lifespan import lifespan

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
# Each framework has its own types for the three arguments.
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


def with_jobs(
    app: ASGIApp,
    *,
    queue: AsyncJobQueue | None = None,
    handlers: JobHandlers | None = None,
    settings: JobQueueSettings | None = None,
    observers: Iterable[Any] = (),
    name: str | None = None,
) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """Wrap *app* so that a queue runs for as long as the server runs the app.

    Requests find the queue at ``scope["state"]["job_queue"]``, or with :func:`get_queue`. The
    arguments are those of :func:`lifespan`; in a framework that has lifespans, use that one
    instead. With a *name* the queue is at ``job_queue_<name>``. If *app* speaks the lifespan
    protocol itself, it starts after the queue and stops before it. A *queue* passed here is
    available to requests even if no lifespan runs, as with some test clients.
    """
    options = {"queue": queue, "handlers": handlers, "settings": settings, "observers": observers}
    return _WithJobs(app, {**options, "name": name})


class _WithJobs:
    def __init__(self, app: ASGIApp, options: dict[str, Any]) -> None:
        self._app = app
        self._options = options
        self._key = key_of(options["name"])
        self._queue: AsyncJobQueue | None = options["queue"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._queue is None:
            await self._app(scope, receive, send)
        else:
            state = {**scope.get("state", {}), self._key: self._queue}
            await self._app({**scope, "state": state}, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            # In Quart, users wrap the app's method ``asgi_app``, not the app.
            app = getattr(self._app, "__self__", self._app)
            async with lifespan(app, **self._options) as state:
                self._queue = state[self._key]
                scope.setdefault("state", {}).update(state)
                async with _InnerLifespan(self._app, scope):
                    phase = "shutdown"
                    await send({"type": "lifespan.startup.complete"})
                    await receive()
        except Exception as error:
            await send({"type": f"lifespan.{phase}.failed", "message": describe(error)})
            raise
        finally:
            self._queue = self._options["queue"]
        await send({"type": "lifespan.shutdown.complete"})


class _InnerLifespan:
    """Runs the lifespan of the wrapped app, which may not support the protocol."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self._scope = scope
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._supported = False
        self._error: Exception | None = None

    async def __aenter__(self) -> None:
        task = asyncio.create_task(self._run())
        self._task = task
        try:
            reply = await self._ask(task, "startup")
            self._supported = reply is not None
            self._check(reply)
        except BaseException:
            await _end(task)
            raise

    async def __aexit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        task = self._task
        if task is None:
            return
        in_order = exc_type is None or issubclass(exc_type, Exception)
        try:
            if self._supported and in_order:
                reply = await self._ask(task, "shutdown")
                if reply is None and self._error is not None:
                    raise self._error  # its lifespan failed after the startup
                self._check(reply)
        finally:
            await _end(task)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            # An app that does not support the protocol raises before it answers. After a
            # ".failed" the error says the same again. So only the shutdown may raise it.
            self._error = error

    async def _ask(self, task: asyncio.Task[None], event: str) -> Message | None:
        """Send *event* and return the app's answer; None if the app returns without one."""
        await self._to_app.put({"type": f"lifespan.{event}"})
        reply = asyncio.create_task(self._from_app.get())
        try:
            await asyncio.wait({reply, task}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # if the app has just answered and returned, let `reply` get it
            return reply.result() if reply.done() else None
        finally:
            reply.cancel()

    @staticmethod
    def _check(reply: Message | None) -> None:
        if reply is not None and reply["type"].endswith(".failed"):
            raise RuntimeError(reply.get("message") or f"the app answered {reply['type']}")


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel *task* and wait until it is done, so that the app stops before the queue."""
    task.cancel()
    await asyncio.wait({task})
