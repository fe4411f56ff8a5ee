"""Tables with many rows, and how the server finds some of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from stoat_jobs._postgres.schema import install

SCHEMA = "stoat_jobs"

_FILL = f"""
ALTER TABLE {SCHEMA}.job SET (autovacuum_enabled = false);
ALTER TABLE {SCHEMA}.pgqueuer SET (autovacuum_enabled = false);
INSERT INTO {SCHEMA}.job (id, seq, type, payload, metadata, is_kept, timeout, keep_payload, status,
    started_at, finished_at)
SELECT gen_random_uuid(), nextval('{SCHEMA}.pgqueuer_id_seq'), 'echo', '{{{{}}}}',
    CASE WHEN n % 1000 = 0 THEN '{{{{"tenant":' || n || '}}}}' ELSE '{{{{}}}}' END, false, 300, false,
    CASE WHEN n <= {{finished}} THEN 'completed' ELSE 'pending' END,
    CASE WHEN n <= {{finished}} THEN now() END, CASE WHEN n <= {{finished}} THEN now() END
FROM generate_series(1, {{finished}} + {{pending}}) AS n;
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status, execute_after)
SELECT seq, 0, type, 'queued', 'epoch' FROM {SCHEMA}.job WHERE status = 'pending';
"""


@asynccontextmanager
async def filled_tables(url: str, *, finished: int, pending: int) -> AsyncIterator[Any]:
    """A connection to a database with many rows, of which the server has no statistics.

    No record is old, and no job is due later; one of a thousand has metadata.
    """
    connection = await asyncpg.connect(url)
    try:
        await install(connection, SCHEMA)
        await connection.execute(_FILL.format(finished=finished, pending=pending))
        await connection.execute("SET jit = off")  # as on the queue's own connections
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True)
class Plan:
    """How the server ran a statement."""

    steps: list[dict[str, Any]]
    pages: int
    """How many it touched."""

    @property
    def whole(self) -> list[str]:
        """The tables that were read as a whole."""
        return [each["Relation Name"] for each in self.steps if each["Node Type"] == "Seq Scan"]


async def plan_of(connection: Any, sql: str, *args: Any, mode: str = "custom") -> Plan:
    """Run a statement, planned for these arguments (``custom``) or for any (``generic``)."""
    await connection.execute(f"SET plan_cache_mode = force_{mode}_plan; PREPARE asked AS {sql}")
    try:
        values = ", ".join(map(_literal, args))
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked({values})"
        )
    finally:
        await connection.execute("DEALLOCATE asked; RESET plan_cache_mode")
    plan = json.loads(text)[0]["Plan"]
    return Plan(list(_steps(plan)), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]" if value else "'{}'"
    text = str(value).replace("'", "''")
    return f"'{text}'"


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _steps(below)
