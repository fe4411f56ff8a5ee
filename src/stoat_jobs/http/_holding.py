"""Requests that are held open: streams and long polls.

- Each has a place, of which there are so many in all and for each client. ``with`` gives it
  back, whatever happens.
- One is over when its client leaves or the server stops. Who holds it open waits for that
  beside whatever else it waits for. From then on it has no place, however long that takes to stop.
- A task may have begun, and ended, before whoever makes it goes on: with an eager task factory
  it does (Python 3.12).
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
from ._problems import SOON, ProblemError
from ._stopping import server_stops

T = TypeVar("T")

# Seconds between two looks at whether the server stops; nobody looks while nothing is open.
_LOOK = 0.2


class Held:
    """One request that is held open; ``over`` is done when it should be no longer."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """It should not be held open any longer."""
        if not self.over.done():
            self.over.set_result(None)

    async def watch_client(self, receive: Receive) -> None:
        """End it when the client leaves, or nothing more is heard of it."""
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.end()

    async def unless_over(self, step: Awaitable[T], timeout: float) -> T | None:
        """What *step* gives; None when it was over before, or *timeout* seconds passed."""
        return await within(timeout, step, self.over)


async def within(seconds: float, step: Awaitable[T], *ends: asyncio.Future[Any]) -> T | None:
    """What *step* gives; None when an end or the time came first, and *step* is cancelled then.

    So it is when the caller is. Not by ``asyncio.wait_for``, which may lose a cancel before
    Python 3.12.
    """
    task = asyncio.ensure_future(step)
    waited: set[asyncio.Future[Any]] = {task, *ends}
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        await stopped(task)


async def stopped(task: asyncio.Future[Any]) -> None:
    """Cancel *task* and see it out, whatever it raises; nothing happens to one that is done."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # it was seen


class HeldRequests:
    """All requests of one application that are held open."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._held: dict[Held, str | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def hold(self, request: Request, receive: Receive) -> AsyncIterator[Held]:
        """Hold *request* open.

        Raises:
            ProblemError: as many are open as may be.
        """
        client = request.client.host if request.client else None
        self._check_room(client)
        held = Held()
        self._held[held] = client
        self._look_later()
        watcher = asyncio.ensure_future(held.watch_client(receive))
        try:
            yield held
        finally:
            del self._held[held]
            self._look_later()
            await stopped(watcher)

    def _check_room(self, client: str | None) -> None:
        clients = [each for held, each in self._held.items() if not held.over.done()]
        if len(clients) >= self.limits.max_open:
            detail = "as many streams and long polls are open as the server bears; try again later"
            raise ProblemError(503, "Too many open", detail, headers=SOON)
        # A client without an address, as over a Unix socket, cannot be told from others.
        if client and clients.count(client) >= self.limits.max_open_per_client:
            detail = "you have too many streams and long polls open; end one, then try again"
            raise ProblemError(429, "Too many open for one client", detail, headers=SOON)

    def _look_later(self) -> None:
        if self._timer is not None and not self._held:
            self._timer.cancel()  # it would keep another event loop from having one
            self._timer = None
        if self._timer is None and self._held:
            self._timer = asyncio.get_running_loop().call_later(
                _LOOK, self._look, context=contextvars.Context()
            )

    def _look(self) -> None:
        self._timer = None
        if server_stops():
            for held in self._held:
                held.end()
        self._look_later()
