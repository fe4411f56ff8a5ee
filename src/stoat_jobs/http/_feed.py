"""Streams all jobs: polls the queue, and sends what has changed since the last poll.

- There is one poller for each queue, however many readers follow it, and none without readers.
  It works with every backend, even if other processes share the jobs.
- The cost of a poll depends on how much has changed, not on how many jobs are kept. It reads the
  newest jobs up to the first known one, all running jobs, and the oldest pending and finished
  jobs up to the first unchanged one, because queues start and drop jobs in that order. If the
  counts show that a pending job left out of order, it reads all pending jobs.
- A slow reader misses nothing: it gets the missed messages, or a new snapshot.
- Readers that may see only their own jobs share the poller with the others.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from pydantic_core import to_json

from stoat_jobs import (
    JobBackend,
    JobNotFoundError,
    JobPage,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueStats,
)
from stoat_jobs.backends import JobFilter

from ._feed_readers import Changes, Everything, Own, message
from ._feed_rows import Ids, Row, Rows
from ._held_requests import stopped
from ._limits import HttpLimits
from ._records import SLICE, row_json
from ._sse import RETRY, Chunks

# How many messages are kept for slow readers.
_KEPT = 20

_FIRST_READ = 64
_LONGEST_PAGE = 1_000


class Feeds:
    """The feeds of one application, one for each queue."""

    def __init__(
        self, limits: HttpLimits, *, expose_errors: bool, expose_payload: bool = False
    ) -> None:
        self._limits = limits
        self._row_of = partial(row_json, expose_errors=expose_errors, expose_payload=expose_payload)
        self._feeds: dict[int, Feed] = {}

    async def follow(self, queue: JobBackend, check: Callable[[], Awaitable[JobFilter]]) -> Chunks:
        """The jobs of *queue* and their changes, as events: only those that *check* returns.

        Raises:
            ProblemError: raised by *check*, before anything is shown.
        """
        own = await check()
        async with self._joined(queue) as feed:
            async for chunk in feed.chunks(Everything() if own.is_open else Own(own)):
                yield chunk

    @asynccontextmanager
    async def _joined(self, queue: JobBackend) -> AsyncIterator[Feed]:
        """The feed of *queue*; it stops when its last reader leaves."""
        feed = self._feeds.setdefault(id(queue), Feed(queue, self._limits, self._row_of))
        feed.readers += 1
        try:
            yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                del self._feeds[id(queue)]  # first, so that no new reader joins it
                await feed.stop()


class Feed:
    """The messages for the readers of one queue."""

    def __init__(
        self, queue: JobBackend, limits: HttpLimits, row_of: Callable[[JobResult[Any]], bytes]
    ) -> None:
        self.readers = 0
        self._poll = Poll(queue, Rows(limits.max_watched, row_of), limits.max_watched)
        self._interval = limits.watch_interval
        self._changes: deque[Changes] = deque(maxlen=_KEPT)
        self._sent = 0
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poller: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Stop polling the queue."""
        if self._poller is not None:
            await stopped(self._poller)

    async def chunks(self, reader: Everything | Own) -> Chunks:
        """A snapshot of all jobs of the *reader*, then changes.

        Raises:
            QueueClosedError: the queue is closed, or closes.
        """
        await self._wait_for_more_than(0)
        seen = self._sent
        yield RETRY + reader.snapshot(self._poll)
        while True:
            await self._wait_for_more_than(seen)
            seen, missed = self._sent, self._sent - seen
            if chunk := self._missed(missed, reader):
                yield chunk

    def _missed(self, number: int, reader: Everything | Own) -> bytes:
        if number > len(self._changes):
            return reader.snapshot(self._poll)
        return reader.changes(list(self._changes)[-number:], self._poll)

    async def _wait_for_more_than(self, seen: int) -> None:
        """Return once more than *seen* messages have been sent, perhaps at once."""
        if self._poller is None:
            # In an empty context: the task outlives the request that started it.
            create_task = asyncio.get_running_loop().create_task
            self._poller = contextvars.Context().run(create_task, self._keep_polling())
        while self._sent <= seen:
            await asyncio.wait({self._news, self._poller}, return_when=asyncio.FIRST_COMPLETED)
            if self._poller.done():
                self._poller.result()

    async def _keep_polling(self) -> None:
        await self._poll.first()
        self._notify()
        while True:
            await asyncio.sleep(self._interval)
            if await self._poll.again():
                rows, gone = self._poll.changes
                text = message(b"changes", rows, gone, self._poll.stats)
                self._changes.append(Changes(rows, gone, text))
                self._notify()

    def _notify(self) -> None:
        self._sent += 1
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()


class Poll:
    """Reads the queue, and updates ``rows`` to match it."""

    def __init__(self, queue: JobBackend, rows: Rows, limit: int) -> None:
        self.rows = rows
        self.stats = b""
        self.is_partial = False
        self.changes: tuple[list[Row], list[str]] = ([], [])
        self._queue = queue
        self._limit = limit
        self._steps = 0

    async def first(self) -> None:
        """Read all jobs, up to the limit."""
        self._check_open()
        records = [record async for page in self._pages(_LONGEST_PAGE) for record in page]
        newest = {record.job_id for record in records}
        older = [each for each in await self._running() if each.job_id not in newest]
        await self._put(reversed([*records, *older]))
        self.rows.sort_ends(records)
        stats = await self._queue.stats()
        self.stats = to_json(stats)
        self._collect_changes(stats)

    async def again(self) -> bool:
        """Read what may have changed; returns whether anything has."""
        self._check_open()
        await self._put(reversed(await self._new()))
        await self._reread_running(await self._running())
        await self._reread_oldest(self.rows.pending)
        await self._reread_oldest(self.rows.ended)
        stats = await self._queue.stats()
        if len(self.rows.pending) > stats.by_status[JobStatus.PENDING]:
            await self._reread_pending()
        before, self.stats = self.stats, to_json(stats)
        return self._collect_changes(stats) or self.stats != before

    def _check_open(self) -> None:
        if not self._queue.started:
            raise QueueClosedError

    def _collect_changes(self, stats: QueueStats) -> bool:
        self.rows.trim()
        self.is_partial = self.rows.are_full and sum(stats.by_status.values()) > len(self.rows)
        self.changes = self.rows.take_changes()
        return any(self.changes)

    async def _new(self) -> list[JobResult[Any]]:
        """The newest jobs, up to the first one that is known."""
        new: list[JobResult[Any]] = []
        async for page in self._pages(_FIRST_READ):
            unknown = [record for record in page if record.job_id not in self.rows]
            new += unknown
            if len(unknown) < len(page):
                break
        return new

    async def _running(self) -> list[JobResult[Any]]:
        return await self._all(JobStatus.RUNNING)

    async def _all(self, status: JobStatus) -> list[JobResult[Any]]:
        pages = self._pages(_LONGEST_PAGE, status=status)
        return [record async for page in pages for record in page]

    async def _pages(self, first: int, **wanted: Any) -> AsyncIterator[JobPage[Any]]:
        """Pages of the newest jobs, the *first* one the shortest, up to the limit in all."""
        before, left, size = None, self._limit, first
        while left:
            page = await self._queue.list_jobs(before=before, limit=min(size, left), **wanted)
            yield page
            before, left, size = page.cursor, left - len(page), min(4 * size, _LONGEST_PAGE)
            if before is None:
                break

    async def _reread_running(self, records: list[JobResult[Any]]) -> None:
        """Show the running *records*, and read jobs again that are no longer running."""
        now = {record.job_id for record in records}
        await self._put(reversed(records))
        for job_id in [each for each in self.rows.running if each not in now]:
            await self._reread(job_id)

    async def _reread_oldest(self, ids: Ids) -> None:
        """Read the oldest of *ids* again, up to the first one that is still among them."""
        while ids:
            oldest = next(iter(ids))
            await self._reread(oldest)
            if oldest in ids:
                return

    async def _reread_pending(self) -> None:
        """Find jobs that were cancelled while older ones are still pending."""
        still = {record.job_id for record in await self._all(JobStatus.PENDING)}
        for job_id in [each for each in self.rows.pending if each not in still]:
            await self._reread(job_id)

    async def _reread(self, job_id: str) -> None:
        try:
            self.rows.put(await self._queue.get_result(job_id))
        except JobNotFoundError:
            self.rows.drop(job_id)
        await self._yield_sometimes()

    async def _put(self, records: Any) -> None:
        for record in records:
            self.rows.put(record)
            await self._yield_sometimes()

    async def _yield_sometimes(self) -> None:
        """Let other tasks run now and then, because reading an in-process queue does not."""
        self._steps += 1
        if not self._steps % SLICE:
            await asyncio.sleep(0)
