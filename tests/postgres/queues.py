"""Queues on a test's own database, and looking at it from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asyncpg

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.postgres import PostgresJobQueue

# Seconds; only a test that fails waits so long.
LIMIT = 30.0


def queue_on(
    url: str,
    handlers: JobHandlers | None = None,
    observers: Iterable[Any] = (),
    *,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> PostgresJobQueue:
    """A queue that is not started."""
    chosen = {"drain_timeout": 0, "concurrency": 10, "url": url, "options": options or {}}
    return PostgresJobQueue(handlers, JobQueueSettings(**{**chosen, **settings}), observers)


async def rows_of(url: str, sql: str, *args: Any) -> list[asyncpg.Record]:
    """The rows of a statement of somebody else."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *args)
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(LIMIT):
        while not await condition():
            await asyncio.sleep(0.02)


class Gate:
    """Handlers that wait until the test opens it; and who has come to it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.arrived: list[Any] = []
        self._changed = asyncio.Condition()

    async def wait(self, who: Any) -> None:
        """Come, and wait."""
        async with self._changed:
            self.arrived.append(who)
            self._changed.notify_all()
        await self.opened.wait()

    async def until(self, number: int) -> None:
        """Wait until so many have come."""
        async with asyncio.timeout(LIMIT), self._changed:
            await self._changed.wait_for(lambda: len(self.arrived) >= number)
