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

from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from .options import PostgresOptions
from .url import Address

Row = asyncpg.Record
Connection = Any  # asyncpg's, or its proxy from the pool


class Connections:
    """A pool, and connections of their own for what listens and beats."""

    def __init__(self, backend: str, address: Address, options: PostgresOptions) -> None:
        raise NotImplementedError

    is_pooled: bool
    """Whether the url leads to a pooler in transaction mode."""

    async def open(self) -> None:
        """Look whether the server can be used, and make the pool, on the running loop.

        Raises:
            BackendStartError: it cannot; within 10 seconds, in one line.
        """
        raise NotImplementedError

    async def connect(self, *, listening: bool = False) -> Connection:
        """A new connection outside the pool, on the loop that runs here: any loop.

        *listening*: to ``listen_url`` if there is one.
        """
        raise NotImplementedError

    async def fetch(self, sql: str, *args: Any, seconds: float | None = None) -> list[Row]:
        """The rows of one statement, which is a transaction of its own.

        It takes at most so many *seconds*, by default a third of a lease; then the connection is
        dropped. While the queue is not open, it has a connection of its own.

        Raises:
            TimeoutError: it took longer.
            RuntimeError: this is another event loop than the queue's.
        """
        raise NotImplementedError

    async def fetch_retried(self, sql: str, *args: Any, seconds: float = 5.0) -> list[Row]:
        """As :meth:`fetch`; what may succeed in a moment is tried again for so many *seconds*.

        Only for statements that may be run twice.
        """
        raise NotImplementedError

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """A connection in a transaction, which ends with the block; bounded as :meth:`fetch`."""
        raise NotImplementedError

    async def close(self, seconds: float) -> None:
        """Close the pool, within so many *seconds* whatever the server does."""
        raise NotImplementedError
