"""A way to the server that can fall silent, as a network does: no data, no error, no end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections from a port of its own, until it is told to swallow what comes."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = host, port
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self) -> None:
        """From here on nothing arrives, in either direction; new connections are accepted."""
        self._flows.clear()

    def swallow_old(self) -> None:
        """As `swallow`, for the connections that there are; new ones work."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    def flow(self) -> None:
        """Deliver what was held back, and all that comes."""
        self._flows.set()

    def lead_to(self, port: int) -> None:
        """Lead connections that come from here on to another server."""
        self._target = self._target[0], port

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flows = self._flows
        await flows.wait()
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            ends = {writer, there_writer}
            self._writers |= ends
            try:
                await asyncio.gather(
                    self._forward(reader, there_writer, flows),
                    self._forward(there_reader, writer, flows),
                )
            finally:
                self._writers -= ends
                for end in ends:
                    end.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await flows.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


def through(proxy: Proxy, url: str) -> str:
    """The url, by way of the proxy."""
    return url.replace(f":{urlsplit(url).port}/", f":{proxy.port}/")
