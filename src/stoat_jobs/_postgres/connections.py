"""The connections of one queue.

- Every connection has what the backend needs, whatever the role's defaults are: read committed,
  synchronous commits, a limit for locks, no limit for idling.
- Every statement has a time limit of this process, because a connection may be half open.
- A pooler in transaction mode keeps nothing between transactions. There, each statement sets
  what it needs in its own transaction, and nothing is prepared.
- asyncpg crashes the interpreter if a connection is used from another event loop, so that is
  refused here.
- No error that leaves this module, its causes included, has a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from .._backends.loop_checks import asyncio_loop
from .._model.errors import BackendError, BackendStartError
from .options import PostgresOptions
from .pool import Pool
from .reasons import is_lock_timeout, is_refusal, is_transient, reason_of
from .server import MINIMUM, Server
from .url import Address, address_of

Row = Mapping[str, Any]
Connection = Any  # asyncpg's
T = TypeVar("T")

_START = 9.0
_GOODBYE = 0.5
_RETRIES = 5.0
_FIRST_PAUSE = 0.05

# Of a worker's own connections: a plan that was made for an empty table stays when it is full.
_BY_INDEX = {"enable_seqscan": "off"}

_LONGEST_PAUSE = 0.5

# Bytes that the slowest link takes in a second.
_SLOWEST = 1_000_000


class Connections:
    """A pool, and connections of their own for what listens and beats."""

    def __init__(self, backend: str, address: Address, options: PostgresOptions) -> None:
        name = f"stoat-jobs {options.schema_name}"
        self._backend = backend
        self._server = Server(address, options.lease, name)
        self._working = Server(address, options.lease, name, _BY_INDEX)
        self._listened = self._server
        if options.listen_url is not None:
            listened = address_of(backend, options.listen_url)
            self._listened = Server(listened, options.lease, name)
        self._seconds = options.lease / 3
        self._pool_size = options.pool_size
        self._pool: Pool | None = None
        self._apart: Pool | None = None
        self._asked = 0

    def __repr__(self) -> str:
        return f"<Connections to {self._server.address}>"

    @property
    def is_pooled(self) -> bool:
        """Whether the url leads to a pooler in transaction mode."""
        return self._server.is_pooled

    @property
    def awaits_server(self) -> bool:
        """Whether an answer is under way to the queue's event loop."""
        return self._asked > 0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Say that in this block, on the queue's event loop, an answer is awaited."""
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1

    async def open(self) -> None:
        """Look whether the server can be used, and make the pool, on the running loop.

        Raises:
            BackendStartError: it cannot; within 10 seconds, in one line.
        """
        asyncio_loop(self._backend)
        try:
            connection = await self._server.connect(_START)
        except Exception as error:
            refusal: str | None = reason_of(error)
        else:
            refusal = _unusable(connection)
        if refusal:
            raise BackendStartError(self._backend, f"{self._server.address}: {refusal}")
        self._pool = Pool(self._server, self._pool_size, connection)
        self._apart = Pool(self._working, 1)

    async def connect(self, *, listening: bool = False) -> Connection:
        """A new connection outside the pool, on the loop that runs here: any loop.

        It is for :meth:`fetch_on`, or to listen.

        *listening*: to ``listen_url`` if there is one.
        """
        server = self._listened if listening else self._working
        return await server.connect(min(2 * self._seconds, _START))

    async def fetch(
        self, sql: str, *args: Any, seconds: float | None = None, local: str = ""
    ) -> list[Row]:
        """The rows of one statement, which is a transaction of its own.

        It takes at most so many *seconds*, by default a third of a lease; then the connection is
        dropped. While the queue is not open, it has a connection of its own. *local*: statements
        that set what it needs.

        Raises:
            TimeoutError: it took longer.
            RuntimeError: this is another event loop than the queue's.
        """
        async with self._lent(self._pool, seconds) as connection:
            return await _fetch_by(self._server, connection, sql, args, local)

    async def fetch_apart(self, sql: str, *args: Any, seconds: float | None = None) -> list[Row]:
        """As :meth:`fetch`, on a connection for this only: nothing else can hold it up."""
        async with self._lent(self._apart, seconds) as connection:
            return await self.fetch_on(connection, sql, *args)

    async def fetch_on(self, connection: Connection, sql: str, *args: Any) -> list[Row]:
        """The rows of one statement on a connection of :meth:`connect`; not bounded."""
        return await _fetch_by(self._working, connection, sql, args)

    def seconds_for(self, size: int) -> float:
        """Seconds for a statement with so many bytes, which a slow link needs on top."""
        return self._seconds + size / _SLOWEST

    async def fetch_retried(
        self,
        sql: str,
        *args: Any,
        seconds: float = _RETRIES,
        longest: float | None = None,
        local: str = "",
    ) -> list[Row]:
        """As :meth:`fetch`; what may succeed in a moment is tried again for so many *seconds*.

        *longest*: seconds of a try. Only for statements that may be run twice.
        """
        return await self.retried(
            lambda: self.fetch(sql, *args, seconds=longest, local=local), seconds
        )

    async def retried(self, step: Callable[[], Awaitable[T]], seconds: float = _RETRIES) -> T:
        """What *step* returns, which is done again for so many *seconds* if that may succeed."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + seconds, 0.0  # what ends a moment later needs none
        while True:
            try:
                return await step()
            except Exception as error:
                if not is_transient(error) or loop.time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    async def ask(
        self, sql: str, *args: Any, within: float | None = None, local: str = ""
    ) -> list[Row]:
        """As :meth:`fetch_retried`, for what a caller of the queue asks for.

        *within*: for at most so many seconds.

        Raises:
            BackendError: the server did not answer, or refused to; says why.
        """
        with self._by_name():
            async with asyncio.timeout(within):
                return await self.fetch_retried(sql, *args, local=local)

    async def change(self, sql: str, *args: Any) -> tuple[list[Row], bool]:
        """As :meth:`ask`, for a statement that does nothing when it is run again.

        Returns also whether there was an earlier try, which may have done it: its answer was lost.
        """
        tries = 0

        async def step() -> list[Row]:
            nonlocal tries
            tries += 1
            return await self.fetch(sql, *args)

        with self._by_name():
            return await self.retried(step), tries > 1

    @contextmanager
    def _by_name(self) -> Iterator[None]:
        """Say by a `BackendError` that the server did not answer, or refuses to."""
        try:
            yield
        except Exception as error:  # a TimeoutError would look like that of `wait`
            if not (is_transient(error) or is_lock_timeout(error) or is_refusal(error)):
                raise
            reason = f"cannot ask its server: {reason_of(error)}"
            raise BackendError(self._backend, reason) from error

    @asynccontextmanager
    async def transaction(self, *, local: str = "") -> AsyncIterator[Connection]:
        """A connection in a transaction, which ends with the block; bounded as :meth:`fetch`.

        *local*: statements that set what this transaction needs.
        """
        borrowed = self.borrowed()
        async with borrowed as connection, self._server.transaction(connection, local):
            yield connection

    @asynccontextmanager
    async def borrowed(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """A connection of the pool, for at most so many *seconds*; bounded as :meth:`fetch`."""
        async with self._lent(self._pool, seconds) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, kept: Pool | None, seconds: float | None) -> AsyncIterator[Connection]:
        seconds = self._seconds if seconds is None else seconds
        pool = kept or Pool(self._server, 1)
        pool.check_loop()
        limit, is_lent = asyncio.timeout(seconds), False
        try:
            with self.asking():
                async with limit, pool.slots:
                    is_lent = True
                    async with pool.connection(seconds) as connection:
                        yield connection
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise pool.late(seconds, is_lent=is_lent) from error
        finally:
            if pool is not kept:
                await self._close(pool, _GOODBYE)

    async def close(self, seconds: float) -> None:
        """Close what is open, within so many *seconds* whatever the server does."""
        pools = [pool for pool in (self._pool, self._apart) if pool is not None]
        self._pool = self._apart = None
        await asyncio.gather(*(self._close(pool, seconds) for pool in pools))

    async def _close(self, pool: Pool, seconds: float) -> None:
        with self.asking():
            await pool.close(seconds)


async def _fetch_by(
    server: Server, connection: Connection, sql: str, args: tuple[Any, ...], local: str = ""
) -> list[Row]:
    if not (local or server.is_pooled):
        return list(await connection.fetch(sql, *args))
    async with server.transaction(connection, local):
        return list(await connection.fetch(sql, *args))


def _unusable(connection: Connection) -> str | None:
    """Why the server of a new connection cannot be used."""
    version = connection.get_server_version()
    encoding = connection.get_settings().server_encoding
    if version.major * 10_000 < MINIMUM:
        connection.terminate()
        return f"PostgreSQL {version.major} is too old; use {MINIMUM // 10_000} or later"
    if encoding != "UTF8":
        connection.terminate()
        return f"the database has the encoding {encoding}; create one with ENCODING 'UTF8'"
    return None
