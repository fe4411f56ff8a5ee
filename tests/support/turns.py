"""An app whose other tasks count their turns of the event loop while the queue is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobBackend, JobContext, JobHandlers, JobQueueSettings

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Ticker:
    """Another task of the application; counts its turns."""

    turns = 0

    async def during(self, awaitable: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(self._tick())
        try:
            return await awaitable
        finally:
            task.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turns += 1
            await self.tick()

    async def tick(self) -> None:
        """What it does in its turn."""


class Counted:
    """An awaitable that counts how often it is resumed."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            while True:
                self.steps += 1
                yield self._coroutine.send(None)
        except StopIteration as end:
            return end.value


class App:
    """Handlers, one of which waits for a word, and reports its progress at another."""

    def __init__(self) -> None:
        self.handlers = JobHandlers()
        self.reports: asyncio.Queue[float | None] = asyncio.Queue()
        self.stopped_with: int | None = None
        self.pending: Callable[[], int] = int
        for handler in (self.noop, self.held):
            self.handlers.register(handler.__name__, handler)

    async def noop(self, ctx: JobContext) -> None: ...

    async def held(self, ctx: JobContext) -> None:
        try:
            while (fraction := await self.reports.get()) is not None:
                ctx.set_progress(fraction)
        except asyncio.CancelledError:
            self.stopped_with = self.pending()
            raise

    def queue(self, *observers: Any, **settings: Any) -> AsyncioJobQueue:
        chosen = {"concurrency": 1, "loop_block_limit": 0, **settings}
        queue = AsyncioJobQueue(self.handlers, JobQueueSettings.model_validate(chosen), observers)
        self.pending = lambda: len(queue._scheduler.pending)
        return queue

    async def run_jobs(self, queue: JobBackend, number: int) -> list[str]:
        """Let so many jobs finish; their ids."""
        ids = [await queue.submit("noop") for _ in range(number)]
        await queue.wait(ids[-1])
        return ids


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
