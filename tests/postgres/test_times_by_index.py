"""What is found by its time is found by an index, however many rows there are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from stoat_jobs._postgres.schema import install
from stoat_jobs._postgres.sql import Sql

SCHEMA = "stoat_jobs"
SQL = Sql(SCHEMA)
FILL = f"""
ALTER TABLE {SCHEMA}.job SET (autovacuum_enabled = false);
ALTER TABLE {SCHEMA}.pgqueuer SET (autovacuum_enabled = false);
INSERT INTO {SCHEMA}.job (id, seq, type, metadata, is_kept, timeout, keep_payload, status,
    started_at, finished_at)
SELECT gen_random_uuid(), nextval('{SCHEMA}.pgqueuer_id_seq'), 'echo', '{{}}', false, 300, false,
    CASE WHEN n % 2 = 0 THEN 'completed' ELSE 'pending' END,
    CASE WHEN n % 2 = 0 THEN now() END, CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, 20000) AS n;
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status, execute_after)
SELECT seq, 0, type, 'queued', 'epoch' FROM {SCHEMA}.job WHERE status = 'pending';
"""


@pytest.fixture
async def filled(url: str) -> AsyncIterator[Any]:
    """A connection to a database with many rows, none of which is old, or due later."""
    connection = await asyncpg.connect(url)
    try:
        await install(connection, SCHEMA)
        await connection.execute(FILL)
        yield connection
    finally:
        await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All steps of a plan."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.mark.parametrize(
    ("sql", "args"),
    [
        pytest.param(SQL.prune_old, (3600.0, 100), id="what is too old"),
        pytest.param(SQL.next_due, (["echo"],), id="what is due next"),
    ],
)
async def test_rows_of_another_time_are_not_looked_at(
    filled: Any, sql: str, args: tuple[Any, ...]
) -> None:
    """To find that nothing is old, or due later, no row is read to be left out."""
    text = await filled.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    steps = list(nodes(json.loads(text)[0]["Plan"]))
    assert [step for step in steps if step.get("Rows Removed by Filter")] == []
    assert [step for step in steps if "Index Cond" in step] != []
