"""A database of ours with many rows that were just loaded, of which the server knows nothing."""

from __future__ import annotations

import asyncio
from functools import cache

from .measure import require
from .postgres_queues import OURS
from .postgres_server import connected, kept_database

_SCHEMA = "stoat_jobs"
_ROWS = """
INSERT INTO {schema}.job (id, seq, type, payload, metadata, is_kept, timeout, keep_payload, status,
    result, started_at, finished_at)
SELECT gen_random_uuid(), nextval('{schema}.pgqueuer_id_seq'), 'noop',
    CASE WHEN n > $2 THEN '{{}}' END, '{{}}', false, 300, false,
    CASE WHEN n > $2 THEN 'pending' ELSE 'completed' END,
    CASE WHEN n <= $2 THEN '"' || repeat('x', 200) || '"' END,
    CASE WHEN n <= $2 THEN clock_timestamp() END, CASE WHEN n <= $2 THEN clock_timestamp() END
FROM generate_series(1, $1::int) n
"""
_ENGINE_ROWS = """
INSERT INTO {schema}.pgqueuer (id, priority, entrypoint, status)
SELECT seq, 0, type, 'queued' FROM {schema}.job WHERE status = 'pending' ORDER BY seq
"""


@cache
def loaded_database(finished: int, pending: int) -> str:
    """The url of a database with so many rows, without statistics."""
    url = kept_database()
    asyncio.run(_load(url, finished, pending))
    return url


async def _load(url: str, finished: int, pending: int) -> None:
    async with OURS.submitting(url), connected(url) as connection:
        for table in ("job", "pgqueuer"):
            await connection.execute(
                f"ALTER TABLE {_SCHEMA}.{table} SET (autovacuum_enabled = off)"
            )
        await connection.execute(_ROWS.format(schema=_SCHEMA), finished + pending, finished)
        await connection.execute(_ENGINE_ROWS.format(schema=_SCHEMA))
        require(await connection.fetchval(OURS.live), pending, "rows")
