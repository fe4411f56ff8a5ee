"""Tables that have just been filled, and of which the server has no statistics yet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.domain.types import QueueManagerId

from stoat_jobs._postgres.claims import _BY_INDEX
from stoat_jobs._postgres.schema import engine_settings, install
from stoat_jobs._postgres.sql import Sql

SCHEMA = "stoat_jobs"
FINISHED, PENDING = 100_000, 50_000

FILL = f"""
ALTER TABLE {SCHEMA}.job SET (autovacuum_enabled = false);
ALTER TABLE {SCHEMA}.pgqueuer SET (autovacuum_enabled = false);
INSERT INTO {SCHEMA}.job (id, seq, type, payload, metadata, is_kept, timeout, keep_payload, status,
    delivery, started_at, finished_at)
SELECT gen_random_uuid(), nextval('{SCHEMA}.pgqueuer_id_seq'), 'echo', '{{}}', '{{}}', false, 300,
    false, CASE WHEN n <= {FINISHED} THEN 'completed' ELSE 'pending' END, 0,
    CASE WHEN n <= {FINISHED} THEN now() END, CASE WHEN n <= {FINISHED} THEN now() END
FROM generate_series(1, {FINISHED + PENDING}) AS n;
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status, execute_after)
SELECT seq, 0, type, 'queued', 'epoch' FROM {SCHEMA}.job WHERE status = 'pending';
"""

ENOUGH = 500
"""Pages that a claim may touch; all that wait have a thousand."""


@pytest.fixture
async def filled(url: str) -> AsyncIterator[Any]:
    """A connection to a database with many rows."""
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


async def run(connection: Any, sql: str, *args: Any) -> tuple[list[str], int]:
    """Run a statement; which tables it read as a whole, and how many pages it touched."""
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
    plan = json.loads(text)[0]["Plan"]
    whole = [each["Relation Name"] for each in nodes(plan) if each["Node Type"] == "Seq Scan"]
    return whole, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def claim(limits: list[int]) -> tuple[str, tuple[Any, ...]]:
    """The engine's claim, as a worker makes it."""
    query = QueryQueueBuilder(engine_settings(SCHEMA)).build_dequeue_query(
        batch_size=10,
        entrypoints=["echo"],  # type: ignore[list-item]
        concurrency_limits=limits,
        queue_manager_id=QueueManagerId(uuid4()),
        global_concurrency_limit=None,
        heartbeat_timeout=timedelta(seconds=6),
    )
    return query.sql, query.args


@pytest.mark.parametrize("limit", [0, 1_000])
async def test_a_claim_reads_an_index_and_not_the_table(filled: Any, limit: int) -> None:
    """However many rows were just loaded, to claim ten touches a few pages."""
    await filled.execute("SET jit = off; BEGIN; " + _BY_INDEX)  # as Connections and Claims do
    sql = Sql(SCHEMA)
    for _ in range(3):
        query, args = claim([limit])
        whole, pages = await run(filled, query, *args)
        assert (whole, pages <= ENOUGH) == ([], True), pages
        numbers = [row["id"] for row in await filled.fetch(query, *args)]
        assert len(numbers) == 10
        whole, pages = await run(filled, sql.start, numbers, 3)
        assert (whole, pages <= ENOUGH) == ([], True), pages


async def test_listing_and_counting_read_indexes(filled: Any) -> None:
    """No page of any filter, and no count of what waits or runs, reads the whole table."""
    sql, last, ever = Sql(SCHEMA), 2**63 - 1, 1e10
    filters: list[tuple[Any, Any]] = [
        (None, None),
        (["failed"], None),
        (["pending", "completed"], None),
        (None, ["echo"]),
        (None, ["no such type"]),
    ]
    asked: list[tuple[Any, ...]] = [
        (sql.page, last, ever, status, job_type, None, 101) for status, job_type in filters
    ]
    asked += [(sql.waiting, 10_000), (sql.live, "running", None, None), (sql.prune_old, ever, 100)]
    for query, *args in asked:
        whole, _ = await run(filled, query, *args)
        assert whole == [], args
