"""Create, upgrade and describe the tables by hand, as ``stoat-jobs postgres`` does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pydantic import ValidationError

from .._model.errors import BackendError
from .._text import shown
from .connections import Connection, Connections
from .options import PostgresOptions
from .reasons import reason_of
from .schema import check, install, versions
from .status import TablesStatus, status
from .url import address_of

_BACKEND = "postgres"
_LONGEST_LOOK = 60.0
_LONGEST_CHANGE = 3600.0  # an index of a large table is built in it
_NAMES = "its name has at most 40 lower-case letters, digits and _, and begins with no digit"


async def create_tables(url: str, schema: str = "stoat_jobs") -> None:
    """Create the tables where there are none, and upgrade old ones; it takes at most an hour.

    Raises:
        BackendError: that failed; in one line, without the url.
    """
    async with _connected(url, schema, _LONGEST_CHANGE) as connection:
        await install(connection, schema)


async def upgrade_tables(url: str, schema: str = "stoat_jobs") -> None:
    """Upgrade the tables, if they are of an older version; it takes at most an hour.

    Raises:
        BackendError: there are none, or that failed; in one line, without the url.
    """
    async with _connected(url, schema, _LONGEST_CHANGE) as connection:
        if not (await versions(connection, schema))[0]:
            await check(connection, schema)  # says why
        await install(connection, schema)


async def tables_status(url: str, schema: str = "stoat_jobs") -> TablesStatus:
    """What is in the tables, and what is wrong; it takes at most a minute.

    Raises:
        BackendError: there are none, or they cannot be read; in one line, without the url.
    """
    async with _connected(url, schema, _LONGEST_LOOK) as connection:
        if not (await versions(connection, schema))[0]:
            await check(connection, schema)  # says why
        return await status(connection, schema)


@asynccontextmanager
async def _connected(url: str, schema: str, seconds: float) -> AsyncIterator[Connection]:
    connections = Connections(_BACKEND, address_of(_BACKEND, url), _options(schema))
    try:
        await connections.open()
        async with connections.borrowed(seconds) as connection:
            yield connection
    except BackendError:
        raise
    except Exception as error:
        reason = reason_of(error)
    else:
        return
    finally:
        await connections.close(1.0)
    raise BackendError(_BACKEND, f"failed: {reason}")


def _options(schema: str) -> PostgresOptions:
    with suppress(ValidationError):
        return PostgresOptions(schema=schema)
    raise BackendError(_BACKEND, f"has no schema {shown(schema)}: {_NAMES}")
