"""Server-sent events, and the records of a job as events.

- The event is ``change`` for each record of a live job, and ``end`` for the terminal record, which
  is the last.
- The id of an event is the tag of its record: a client that reconnects says which it has seen.
- A stream ends after its last event, when its client leaves, when the queue closes or the server
  stops, and at its maximum age. This holds even while it waits for its first event, or for a
  client that does not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stoat_jobs import JobResult, JobsError
from stoat_jobs.backends import log_event

from ._held_requests import Held, HeldRequests, stopped, within
from ._problems import response_to
from ._records import ShownRecord

Records = AsyncIterator["JobResult[Any]"]
Chunks = AsyncGenerator[bytes, None]

# Milliseconds until a browser reconnects after it has lost its stream. It is sent with the first
# event, because some clients treat it as an event if it is sent by itself.
RETRY = b"retry: 2000\n"
_ALIVE = b": alive\n\n"

_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # otherwise nginx buffers events
}

# Expected ends of a stream: the queue closes, the client has left, or there are no more events.
_EXPECTED = (JobsError, OSError, StopAsyncIteration)

# Seconds that a client has to receive the end of its stream.
_END_TIMEOUT = 1.0


class EventStream(Response):
    """A response that streams *chunks*; if the first chunk raises, it is a problem document.

    It counts as a held request only from when it is sent. So it cannot be counted without code
    that stops counting it again.
    """

    media_type = "text/event-stream"

    def __init__(self, request: Request, chunks: Chunks, held: HeldRequests) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._request = request
        self._chunks = chunks
        self._held = held
        self._limits = held.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, or a problem document if it may not begin."""
        try:
            async with self._held.hold(self._request, receive) as held:
                await self._stream(held, send)
        except Exception as error:
            answer = response_to(error)
            if answer is None:
                raise
            await answer(scope, receive, send)
        finally:
            await self._chunks.aclose()

    async def _stream(self, held: Held, send: Send) -> None:
        """Send all chunks; errors before the first one are raised, later ones end the stream."""
        age = self._limits.max_stream_age
        first = await held.unless_over(anext(self._chunks), age)
        with suppress(OSError):  # the client may be gone
            if first is None:  # a stream without events, after which clients reconnect
                await within(_END_TIMEOUT, self._begin(send))
            else:
                await self._follow(held.unless_over(self._send_all(first, send), age))
            await within(_END_TIMEOUT, _end(send))

    async def _follow(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except _EXPECTED:
            pass
        except Exception as error:
            log_event(logging.ERROR, "stream_failed", exc_info=error)

    async def _send_all(self, first: bytes, send: Send) -> None:
        await self._begin(send)
        if self._request.method == "HEAD":
            return
        await _send_chunk(send, first)
        while True:
            await _send_chunk(send, await self._next(send))

    async def _begin(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )

    async def _next(self, send: Send) -> bytes:
        """The next chunk; sends heartbeats while it waits."""
        step = asyncio.ensure_future(anext(self._chunks))
        try:
            while not (await asyncio.wait({step}, timeout=self._limits.heartbeat))[0]:
                await _send_chunk(send, _ALIVE)
            return step.result()
        finally:
            await stopped(step)


async def job_events(
    records: Records,
    *,
    show: Callable[[JobResult[Any]], ShownRecord],
    check: Callable[[JobResult[Any]], Awaitable[object]],
    seen: str | None,
) -> Chunks:
    """The events of one job, up to the last; the record with the tag *seen* is left out.

    Raises:
        ProblemError: raised by *check*, which is called with the first record.
    """
    try:
        first = await anext(records)
        await check(first)
        shown = show(first)
        yield _ALIVE if shown.tag == seen else RETRY + event(shown)
        if not shown.is_terminal:  # a terminal record is the last
            async for record in records:
                yield event(show(record))
    finally:
        await _closed(records)


def event(shown: ShownRecord) -> bytes:
    """One record as an event."""
    name = b"end" if shown.is_terminal else b"change"
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (shown.tag.encode(), name, shown.body)


async def _send_chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _closed(records: Records) -> None:
    """Close *records* if it is a generator."""
    close = getattr(records, "aclose", None)
    if close is not None:
        await close()
