"""Requests that are held open: streams and long polls.

- Their number is limited, in all and for each client. ``with`` counts a request and stops
  counting it, whatever happens.
- A request is over when its client leaves or the server stops. The code that holds it open always
  waits for that too. From then on it does not count, however long it takes to end.
- A task may have started, and even finished, when ``create_task`` returns: with an eager task
  factory (Python 3.12) it does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from ._limits import HttpLimits
from ._problems import ProblemError, ProblemKind
from ._uvicorn_stopping import server_is_stopping

T = TypeVar("T")

# Seconds between two checks whether the server is stopping; only while requests are open.
_POLL = 0.2


class Held:
    """One request that is held open; the future ``over`` is done when the request should end."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """End the request soon."""
        if not self.over.done():
            self.over.set_result(None)

    async def watch_client(self, receive: Receive) -> None:
        """End the request when the client leaves, or when receiving fails."""
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.end()

    async def unless_over(self, step: Awaitable[T], timeout: float) -> T | None:
        """The result of *step*; None if the request is over first, or after *timeout* seconds."""
        return await within(timeout, step, self.over)


async def within(seconds: float, step: Awaitable[T], *ends: asyncio.Future[Any]) -> T | None:
    """The result of *step*; None if one of *ends* or the time comes first, which cancels *step*.

    If the caller is cancelled, *step* is cancelled too. ``asyncio.wait_for`` may lose that
    cancellation before Python 3.12 (python/cpython#86296), so it is not used.
    """
    task = asyncio.ensure_future(step)
    waited: set[asyncio.Future[Any]] = {task, *ends}
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await stopped(task)


async def stopped(task: asyncio.Future[Any]) -> None:
    """Cancel *task* if it is not done, and wait for its end, whatever it raises."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # marks it as retrieved


class HeldRequests:
    """All requests of one application that are held open, and their limits."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._held: dict[Held, str | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def hold(self, request: Request, receive: Receive) -> AsyncIterator[Held]:
        """Hold *request* open.

        Raises:
            ProblemError: too many are open.
        """
        client = request.client.host if request.client else None
        self._check_room(client)
        held = Held()
        self._held[held] = client
        self._schedule_check()
        watcher = asyncio.ensure_future(held.watch_client(receive))
        try:
            yield held
        finally:
            del self._held[held]
            self._schedule_check()
            await stopped(watcher)

    def _check_room(self, client: str | None) -> None:
        clients = [each for held, each in self._held.items() if not held.over.done()]
        if len(clients) >= self.limits.max_open:
            detail = "too many streams and long polls are open on the server; try again later"
            raise ProblemError(ProblemKind.TOO_MANY_OPEN, detail)
        # Clients without an address, as over a Unix socket, cannot be distinguished.
        if client and clients.count(client) >= self.limits.max_open_per_client:
            detail = "you have too many streams and long polls open; close one and try again"
            raise ProblemError(ProblemKind.TOO_MANY_OPEN_FOR_ONE_CLIENT, detail)

    def _schedule_check(self) -> None:
        if self._timer is not None and not self._held:
            self._timer.cancel()  # the next request may come in another event loop
            self._timer = None
        if self._timer is None and self._held:
            self._timer = asyncio.get_running_loop().call_later(
                _POLL, self._check_server, context=contextvars.Context()
            )

    def _check_server(self) -> None:
        self._timer = None
        if server_is_stopping():
            for held in self._held:
                held.end()
        self._schedule_check()
