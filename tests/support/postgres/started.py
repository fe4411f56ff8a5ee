"""Queues on a server, for tests in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings
from stoat_jobs.postgres import PostgresJobQueue

from .. import SAFETY_NET


class Held:
    """Handlers ``hold``, which waits for the test, and ``go``, which does not.

    Attributes:
        handlers: a registry that has them.
        ran: the payloads of their calls, in order.
    """

    def __init__(self) -> None:
        self.handlers = JobHandlers()
        self.ran: list[Any] = []
        self.gate: asyncio.Event = asyncio.Event()
        self.contexts: list[JobContext] = []
        self.handlers.register("hold", self._hold)
        self.handlers.register("go", self._go)

    async def _hold(self, ctx: JobContext, /, **payload: Any) -> None:
        self.ran.append(payload)
        self.contexts.append(ctx)
        await self.gate.wait()

    async def _go(self, ctx: JobContext, /, **payload: Any) -> None:
        self.ran.append(payload)


@asynccontextmanager
async def started(
    url: str, handlers: JobHandlers, observers: Iterable[Any] = (), **settings: Any
) -> AsyncIterator[PostgresJobQueue]:
    """A queue that runs, and stops at once at the end."""
    chosen = JobQueueSettings.model_validate({"url": url, "drain_timeout": 0.0, **settings})
    async with PostgresJobQueue(handlers, chosen, observers) as queue:
        yield queue


async def until(reached: Callable[[], Awaitable[Any]] | Callable[[], Any]) -> Any:
    """Look until *reached* gives something true, which is returned."""
    async with asyncio.timeout(SAFETY_NET):
        while True:
            found = reached()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
