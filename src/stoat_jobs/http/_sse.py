"""Server-sent events, and a job's records as such.

- ``change`` for each record of a live job, ``end`` for the terminal one, which is the last.
- An event's id is the tag of its record: a client that comes back says which one it has seen.
- A stream ends after its last event, when its client leaves, when the queue closes or the server
  stops, and at its greatest age; also where it waits for its first event, or for a client that
  does not read.
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

from ._holding import Held, HeldRequests, stopped, within
from ._problems import response_to
from ._records import ShownRecord

Records = AsyncIterator["JobResult[Any]"]
Chunks = AsyncGenerator[bytes, None]

# In milliseconds: when a browser that lost its stream comes back. A line of the first event:
# by itself some clients take it for an event.
RETRY = b"retry: 2000\n"
_ALIVE = b": alive\n\n"

_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events until it has enough of them
}

# How a stream ends in the middle: the queue closes, or the client is gone and the server says so.
_ORDINARY = (JobsError, OSError, StopAsyncIteration)

# Seconds that a client has to take the end of its stream.
_FAREWELL = 1.0


class EventStream(Response):
    """The answer that lasts as long as *chunks* come; what the first step raises is a problem.

    It takes its place among the requests that are held open when it is sent, so that there is
    no moment at which it has one and nobody to give it back.
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
        """Send it; a problem where it may not begin."""
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
        """What goes wrong before the first chunk is raised; afterwards it ends the stream."""
        age = self._limits.max_stream_age
        first = await held.unless_over(anext(self._chunks), age)
        with suppress(OSError):  # the client may be gone
            if first is None:  # no event, after which a client comes back
                await within(_FAREWELL, self._begin(send))
            else:
                await self._follow(held.unless_over(self._send_all(first, send), age))
            await within(_FAREWELL, _end(send))

    async def _follow(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except _ORDINARY:
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
        """The next chunk, with signs of life until then."""
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
    """The events of one job, up to the end; the record of which *seen* is the tag is left out.

    Raises:
        ProblemError: *check* does, of the first record.
    """
    try:
        first = await anext(records)
        await check(first)
        shown = show(first)
        yield _ALIVE if shown.tag == seen else RETRY + event(shown)
        if not shown.is_terminal:  # then there is nothing more to wait for
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
    """Close *records* where they are a generator's."""
    close = getattr(records, "aclose", None)
    if close is not None:
        await close()
