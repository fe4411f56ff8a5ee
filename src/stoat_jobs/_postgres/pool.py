"""Connections that are lent one by one.

asyncpg's own pool would ask the server to reset each connection that comes back, and its time
limits wait for a server that does not answer.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from threading import get_ident
from typing import Any

import asyncpg

from .._backends.loop_checks import outside
from .reasons import sqlstate_of
from .server import Server


class Pool:
    """Connections to one server, on one event loop."""

    def __init__(self, server: Server, size: int, first: Any = None) -> None:
        self._server = server
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self.slots = asyncio.Semaphore(size)
        """To be entered around :meth:`connection`."""
        self._idle: list[Any] = [] if first is None else [first]
        self._lent: set[Any] = set()
        self._life = 0
        self._is_closed = False

    def check_loop(self) -> None:
        """Refuse another event loop: asyncpg would crash the interpreter."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is not self._loop or get_ident() != self._thread:
            raise outside("method", here)  # the queue, which knows its name, refuses it before

    @asynccontextmanager
    async def connection(self, seconds: float) -> AsyncIterator[Any]:
        """A connection; afterwards it is kept, if it still is of use."""
        connection, life = await self._take(seconds), self._life
        self._lent.add(connection)
        try:
            yield connection
        except BaseException as error:
            if not _is_of_use(connection, error):
                connection.terminate()
                if not isinstance(error, asyncio.CancelledError):
                    # The others lead to the same server: gone, or a standby by now.
                    self._life += 1
                    self._drop_idle()
            raise
        finally:
            self._lent.discard(connection)
            self._give_back(connection, life)

    async def _take(self, seconds: float) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            connection.terminate()
        # Not in the variables of who asks, which its callbacks would keep as long as it is open.
        connecting = self._loop.create_task(
            self._server.connect(seconds), context=contextvars.Context()
        )
        try:
            return await connecting
        except BaseException:
            connecting.cancel()
            connecting.add_done_callback(_terminate_made)  # if it was made in this moment
            raise

    def _give_back(self, connection: Any, life: int) -> None:
        if connection.is_closed():
            return
        if self._is_closed or life != self._life or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    def late(self, seconds: float, *, is_lent: bool) -> TimeoutError:
        """What to raise when a block was not over after so many *seconds*."""
        if not is_lent:
            return TimeoutError(
                f"no connection was free for {seconds:.1f} s: the server is slow or away, or"
                " pool_size is too small"
            )
        self._drop_idle()  # they lead to the same server
        return TimeoutError(f"the server has not answered for {seconds:.1f} s")

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()

    async def close(self, seconds: float) -> None:
        """Say goodbye on each idle connection, and cut the others."""
        self._is_closed = True
        try:
            with suppress(Exception):
                async with asyncio.timeout(seconds):
                    for connection in self._idle:
                        await connection.close()
        finally:
            self._drop_idle()
            for connection in self._lent:
                connection.terminate()


def _terminate_made(connecting: asyncio.Task[Any]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


def _is_of_use(connection: Any, error: BaseException) -> bool:
    """Whether a connection may be used after *error* came out of the block that had it."""
    if connection.is_closed() or isinstance(error, asyncio.CancelledError | TimeoutError):
        return False
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return False
    return sqlstate_of(error) != "25006" and not sqlstate_of(error).startswith("08")
