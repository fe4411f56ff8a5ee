"""The connections of a queue, without a queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.options import PostgresOptions
from stoat_jobs._postgres.url import address_of


def connections(url: str, **options: Any) -> Connections:
    """Not open yet."""
    return Connections("postgres", address_of("postgres", url), PostgresOptions(**options))


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Connections]:
    """Open, and closed afterwards."""
    used = connections(url, **options)
    await used.open()
    try:
        yield used
    finally:
        await used.close(1)


async def value(used: Connections, sql: str, *args: Any) -> Any:
    """The only value of the only row of a statement."""
    (row,) = await used.fetch(sql, *args)
    (it,) = row.values()
    return it
