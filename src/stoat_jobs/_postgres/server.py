"""Connections to one address, as the backend needs them.

- Every connection has what the backend needs, whatever the role's defaults are. It is asked for
  at the start of the session, with a mark of ours.
- A pooler in transaction mode refuses that, or forgets the mark. There, each transaction sets what
  it needs, and nothing is prepared.
- The hosts are tried one after the other, each for its share of the time, until one is found that
  can be written to; the last that could be is tried first.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from .reasons import sqlstate_of
from .url import Address

MINIMUM = 140000
"""PostgreSQL 14: the first with ``idle_session_timeout``, which would end a listener."""

_MARK = "stoat_jobs.session"
# Not prepared: behind a pooler it would stay, and be in the way of other processes.
_DIVIDE_BY_MARK = f"SELECT 1 / (coalesce(current_setting('{_MARK}', true), '') = '1')::int"
_PAUSE = 0.2
_LONGEST = 30.0  # seconds that a statement may go on when nobody waits for it any more
_REFUSES_SETTINGS = {
    "08P01",  # PgBouncer: unsupported startup parameter
    "0A000",  # RDS Proxy: feature not supported
    "42704",  # an older server: unrecognized configuration parameter
}
_BUSY = {"53300", "57P03"}
_KEEPALIVES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


def session_settings(lease: float) -> dict[str, str]:
    """What a session needs, by the names of the server's settings."""
    return {
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "default_transaction_deferrable": "off",
        "synchronous_commit": "on",
        "jit": "off",
        "lock_timeout": f"{lease * 1000 / 4:.0f}",
        "statement_timeout": f"{max(lease, _LONGEST) * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{lease * 2000:.0f}",
        "idle_session_timeout": "0",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    }


# What a transaction can set for itself, behind a pooler.
_PER_TRANSACTION = (
    "synchronous_commit",
    "jit",
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
)


class ReadOnlyError(ConnectionError):
    """Every host that answers is read-only."""

    sqlstate = "25006"


class Server:
    """Makes connections to one address; it may be used on any event loop."""

    def __init__(
        self, address: Address, lease: float, name: str, more: Mapping[str, str] | None = None
    ) -> None:
        """*more*: further settings."""
        self.address = address
        self._settings = {**session_settings(lease), **(more or {})}
        self._local = [*_PER_TRANSACTION, *(more or ())]
        self._name = name
        self._first = 0
        self._is_known = False
        self.is_pooled = False

    @property
    def begin(self) -> str:
        """The statements that begin a transaction."""
        settings = self._settings if self.is_pooled else {}
        local = (f"SET LOCAL {name} = '{settings[name]}'" for name in self._local if settings)
        return "; ".join(("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", *local))

    async def connect(self, seconds: float) -> Any:
        """A new connection to a host that can be written to, within so many *seconds*.

        A server that has no connection left, or is starting, is asked again.
        """
        deadline, busy = asyncio.get_running_loop().time() + seconds, None
        while True:
            try:
                return await self._any_host(deadline)
            except asyncpg.PostgresError as error:
                if sqlstate_of(error) not in _BUSY or _left(deadline) <= _PAUSE:
                    raise
                busy = error
            except TimeoutError:
                if busy is not None:  # which says more
                    raise busy from None
                raise
            await asyncio.sleep(_PAUSE)

    async def _any_host(self, deadline: float) -> Any:
        hosts, failure = self.address.hosts, None
        for turn in range(len(hosts)):
            number = (self._first + turn) % len(hosts)
            try:
                async with asyncio.timeout(_left(deadline) / (len(hosts) - turn)):
                    connection = await self._host(*hosts[number])
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if failure is None or sqlstate_of(error):  # what a server says is worth more
                    failure = error
            else:
                self._first = number
                return connection
        raise failure or AssertionError("an address has a host")

    async def _host(self, host: str, port: int) -> Any:
        connection = await self._session(host, port)
        is_pooled = self.is_pooled
        try:
            await self._look(connection)
        except BaseException:
            connection.terminate()
            raise
        if self.is_pooled != is_pooled:  # this one would still prepare statements
            connection.terminate()
            return await self._host(host, port)
        _keep_alive(connection)
        return connection

    async def _session(self, host: str, port: int) -> Any:
        if not self.is_pooled:
            try:
                return await self._connect(host, port, self._settings | {_MARK: "1"})
            except asyncpg.PostgresError as error:
                if sqlstate_of(error) not in _REFUSES_SETTINGS:
                    raise
            self.is_pooled = self._is_known = True
        return await self._connect(host, port, {})

    async def _connect(self, host: str, port: int, settings: Mapping[str, str]) -> Any:
        address = self.address
        names = {"application_name": self._name, **address.settings}
        arguments: dict[str, Any] = {
            "host": host or None,
            "port": port,
            "user": address.user,
            "password": address.password,
            "database": address.database,
            "target_session_attrs": "any",  # we look ourselves
            "statement_cache_size": 0 if self.is_pooled else 100,
            # Its timers would keep the variables of whoever asked first, as a request's.
            "max_cached_statement_lifetime": 0,
            "server_settings": {**names, **settings},
            **address.arguments,
        }
        return await asyncpg.connect(**arguments)

    async def _look(self, connection: Any) -> None:
        """Whether a pooler forgot our mark, and whether the server can be written to."""
        settings = connection.get_settings()
        if getattr(settings, "in_hot_standby", "off") == "on":
            raise ReadOnlyError("the server is a standby")
        if self._is_known and not self.is_pooled:
            return
        try:
            async with self.transaction(connection):  # fails on a standby, also behind a pooler
                if not self.is_pooled:
                    await connection.execute(_DIVIDE_BY_MARK)
        except asyncpg.DivisionByZeroError:
            self.is_pooled = True
        self._is_known = True

    @asynccontextmanager
    async def transaction(self, connection: Any, local: str = "") -> AsyncIterator[None]:
        """A transaction on *connection*, which ends with the block; *local* are its settings."""
        try:
            await connection.execute(f"{self.begin}; {local}" if local else self.begin)
        except asyncpg.FeatureNotSupportedError as error:  # so a standby refuses READ WRITE
            raise ReadOnlyError("the server is a standby") from error
        try:
            yield
        except asyncio.CancelledError:
            raise  # the connection is of no use any more
        except BaseException:
            with suppress(Exception):
                await connection.execute("ROLLBACK")
            raise
        if await connection.execute("COMMIT") != "COMMIT":
            raise RuntimeError("the transaction was rolled back, because a statement of it failed")


def _left(deadline: float) -> float:
    return max(deadline - asyncio.get_running_loop().time(), 0.0)


def _keep_alive(connection: Any) -> None:
    """Let the system end a connection whose other end is gone, as a net."""
    transport = getattr(connection, "_transport", None)
    found = transport and transport.get_extra_info("socket")
    if found is None or found.family == getattr(socket, "AF_UNIX", None):
        return
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVES.items():
            if option := getattr(socket, name, None):
                found.setsockopt(socket.IPPROTO_TCP, option, value)
