"""Empty tables, quickly."""

from __future__ import annotations

import asyncpg

_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"""


async def empty(url: str, schema: str) -> None:
    """Remove all jobs of *schema*, if it is there, and cut who is still connected."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_OTHERS)
        if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.job") is not None:
            tables = ("job", "pgqueuer", "pgqueuer_log")
            await connection.execute(f"TRUNCATE {', '.join(f'{schema}.{each}' for each in tables)}")
    finally:
        await connection.close()
