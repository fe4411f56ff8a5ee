"""All jobs on one stream: what the queue has is looked at again and again, and what changed sent.

- One look at a time for each queue, however many follow it, and none while nobody does. It works
  with every backend, also where other processes have part in the jobs.
- A look costs what has changed, not what is kept: it reads the newest until one is known, what
  runs, and the oldest of those that wait and of those that have ended; queues start and drop
  jobs in that order. Where the counts show that a waiting one left out of turn, all are read.
- A reader that is slow misses nothing: it is sent what it missed, or all anew.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic_core import to_json

from stoat_jobs import JobBackend, JobNotFoundError, JobResult, JobStatus, QueueClosedError

from ._holding import stopped
from ._limits import HttpLimits
from ._records import SLICE, row_json
from ._rows import Ids, Rows
from ._sse import RETRY, Chunks

# Messages that are kept for readers that are slow.
_KEPT = 20

_FIRST_LOOK = 64


class Feeds:
    """The feeds of one application, by queue."""

    def __init__(self, limits: HttpLimits, *, expose_errors: bool) -> None:
        self._limits = limits
        self._row_of = partial(row_json, expose_errors=expose_errors)
        self._feeds: dict[int, Feed] = {}

    async def follow(self, queue: JobBackend, check: Callable[[], Awaitable[None]]) -> Chunks:
        """The jobs of *queue*, and what changes, as events.

        Raises:
            ProblemError: *check* does, before anything is shown.
        """
        await check()
        async with self._joined(queue) as feed:
            async for chunk in feed.chunks():
                yield chunk

    @asynccontextmanager
    async def _joined(self, queue: JobBackend) -> AsyncIterator[Feed]:
        """The feed of *queue*, which has an end with the last that has joined it."""
        feed = self._feeds.setdefault(id(queue), Feed(queue, self._limits, self._row_of))
        feed.readers += 1
        try:
            yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                del self._feeds[id(queue)]  # first: nobody may join it any more
                await feed.stop()


class Feed:
    """What those who follow one queue are told."""

    def __init__(
        self, queue: JobBackend, limits: HttpLimits, row_of: Callable[[JobResult[Any]], bytes]
    ) -> None:
        self.readers = 0
        self._look = Look(queue, Rows(limits.max_watched, row_of), limits.max_watched)
        self._interval = limits.watch_interval
        self._messages: deque[bytes] = deque(maxlen=_KEPT)
        self._sent = 0
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._poller: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Look at the queue no longer."""
        if self._poller is not None:
            await stopped(self._poller)

    async def chunks(self) -> Chunks:
        """All jobs, then what changes.

        Raises:
            QueueClosedError: the queue is closed, or closes.
        """
        await self._more_than(0)
        seen = self._sent
        yield RETRY + _message(b"snapshot", list(self._look.rows.newest_first()), [], self._look)
        while True:
            await self._more_than(seen)
            seen, missed = self._sent, self._sent - seen
            yield self._missed(missed)

    def _missed(self, number: int) -> bytes:
        if number > len(self._messages):
            rows = list(self._look.rows.newest_first())
            return _message(b"snapshot", rows, [], self._look)
        return b"".join(list(self._messages)[-number:])

    async def _more_than(self, seen: int) -> None:
        """Return when more than *seen* messages were told, which may be so before it is asked."""
        if self._poller is None:
            # In no reader's context: it outlives the request that it was begun for.
            create_task = asyncio.get_running_loop().create_task
            self._poller = contextvars.Context().run(create_task, self._poll())
        while self._sent <= seen:
            await asyncio.wait({self._news, self._poller}, return_when=asyncio.FIRST_COMPLETED)
            if self._poller.done():
                self._poller.result()

    async def _poll(self) -> None:
        await self._look.first()
        self._tell()
        while True:
            await asyncio.sleep(self._interval)
            if await self._look.again():
                self._messages.append(_message(b"changes", *self._look.changes, self._look))
                self._tell()

    def _tell(self) -> None:
        self._sent += 1
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()


class Look:
    """Reads the queue; afterwards ``rows`` are as it is."""

    def __init__(self, queue: JobBackend, rows: Rows, limit: int) -> None:
        self.rows = rows
        self.stats = b""
        self.changes: tuple[list[bytes], list[str]] = ([], [])
        self._queue = queue
        self._limit = limit
        self._steps = 0

    async def first(self) -> None:
        """Read all that may be shown."""
        self._check_open()
        records = await self._queue.list_jobs(limit=self._limit)
        newest = {record.job_id for record in records}
        older = [each for each in await self._running() if each.job_id not in newest]
        await self._put(reversed([*records, *older]))
        self.rows.sort_ends(records)
        self.stats = to_json(await self._queue.stats())
        self._settle()

    async def again(self) -> bool:
        """Read what may have changed; gives whether anything has."""
        self._check_open()
        await self._put(reversed(await self._new()))
        await self._reread_running(await self._running())
        await self._reread_oldest(self.rows.pending)
        await self._reread_oldest(self.rows.ended)
        stats = await self._queue.stats()
        if len(self.rows.pending) > stats.by_status[JobStatus.PENDING]:
            await self._reread_pending()
        before, self.stats = self.stats, to_json(stats)
        return self._settle() or self.stats != before

    def _check_open(self) -> None:
        if not self._queue.started:
            raise QueueClosedError

    def _settle(self) -> bool:
        """The changes are complete."""
        self.rows.trim()
        self.changes = self.rows.take_changes()
        return any(self.changes)

    async def _new(self) -> list[JobResult[Any]]:
        """The newest, up to one that is known."""
        limit = _FIRST_LOOK
        while True:
            limit = min(limit, self._limit)
            records = await self._queue.list_jobs(limit=limit)
            new = [record for record in records if record.job_id not in self.rows]
            if len(new) < len(records) or len(records) < limit or limit == self._limit:
                return new
            limit *= 4

    async def _running(self) -> list[JobResult[Any]]:
        return await self._queue.list_jobs(status=JobStatus.RUNNING, limit=self._limit)

    async def _reread_running(self, records: list[JobResult[Any]]) -> None:
        """*records* run now; others that did have ended."""
        now = {record.job_id for record in records}
        await self._put(reversed(records))
        for job_id in [each for each in self.rows.running if each not in now]:
            await self._reread(job_id)

    async def _reread_oldest(self, ids: Ids) -> None:
        """Read the oldest of *ids* until one is still where it was."""
        while ids:
            oldest = next(iter(ids))
            await self._reread(oldest)
            if oldest in ids:
                return

    async def _reread_pending(self) -> None:
        """Find those that were cancelled before others that go on waiting."""
        pending = await self._queue.list_jobs(status=JobStatus.PENDING, limit=self._limit)
        still = {record.job_id for record in pending}
        for job_id in [each for each in self.rows.pending if each not in still]:
            await self._reread(job_id)

    async def _reread(self, job_id: str) -> None:
        try:
            self.rows.put(await self._queue.get_result(job_id))
        except JobNotFoundError:
            self.rows.drop(job_id)
        await self._breathe()

    async def _put(self, records: Any) -> None:
        for record in records:
            self.rows.put(record)
            await self._breathe()

    async def _breathe(self) -> None:
        """Let others have their turn now and then; reading a queue in the process does not."""
        self._steps += 1
        if not self._steps % SLICE:
            await asyncio.sleep(0)


def _message(name: bytes, rows: list[bytes], gone: list[str], look: Look) -> bytes:
    now = to_json(datetime.now(UTC))
    return b'event: %b\ndata: {"at":%b,"stats":%b,"gone":%b,"jobs":[%b]}\n\n' % (
        *(name, now, look.stats, to_json(gone)),
        b",".join(rows),
    )
