"""Statistics of a queue that was empty, which say nothing of what waits a moment later.

Autovacuum looks at the tables at any moment, and most queues are empty at most moments.
"""

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

from stoat_jobs._postgres.claims import _BY_INDEX as FOR_A_CLAIM
from stoat_jobs._postgres.claims import FOUND, FOUND_BY_INDEX
from stoat_jobs._postgres.connections import _BY_INDEX
from stoat_jobs._postgres.schema import engine_settings, install
from stoat_jobs._postgres.server import session_settings
from stoat_jobs._postgres.sql import Sql

SCHEMA = "stoat_jobs"
SQL = Sql(SCHEMA)
OWNER = uuid4()
WAITING = 20_000
MANY = 200

ENOUGH = 2 * MANY**2
"""Rows that a statement about so many may look at; to compare all with all is four millions."""

FILL = f"""
ALTER TABLE {SCHEMA}.job SET (autovacuum_enabled = false);
ALTER TABLE {SCHEMA}.pgqueuer SET (autovacuum_enabled = false);
INSERT INTO {SCHEMA}.job (id, seq, type, payload, metadata, is_kept, timeout, keep_payload, status)
    SELECT gen_random_uuid(), n, 'echo', '{{}}', '{{}}', false, 300, false, 'completed'
    FROM generate_series(1, 10) AS n;
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status)
    SELECT n, 0, 'echo', 'queued' FROM generate_series(1, 1000) AS n;
DELETE FROM {SCHEMA}.pgqueuer;
ANALYZE {SCHEMA}.pgqueuer, {SCHEMA}.job;
INSERT INTO {SCHEMA}.job (id, seq, type, payload, metadata, is_kept, timeout, keep_payload)
    SELECT gen_random_uuid(), n, 'echo', '{{}}', '{{}}', false, 300, false
    FROM generate_series(1001, {1000 + WAITING}) AS n;
INSERT INTO {SCHEMA}.pgqueuer (id, priority, entrypoint, status, execute_after)
    SELECT seq, 0, type, 'queued', 'epoch' FROM {SCHEMA}.job WHERE status = 'pending';
"""


@pytest.fixture
async def misled(url: str) -> AsyncIterator[Any]:
    """A connection to a database with many jobs, of which the server thinks that there are none."""
    settings = {**session_settings(6.0), **_BY_INDEX}
    connection = await asyncpg.connect(url, server_settings=settings)
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


def looked_at(node: dict[str, Any]) -> int:
    """How many rows a step returned or compared in vain."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Join Filter")
    found: list[float] = [node.get(name, 0) for name in names]
    times: int = node["Actual Loops"]
    return round(sum(found)) * times


async def run(connection: Any, sql: str, *args: Any) -> int:
    """Run a statement; how many rows it looked at."""
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    return sum(map(looked_at, nodes(json.loads(text)[0]["Plan"])))


async def claimed(connection: Any) -> list[int]:
    """The numbers of jobs that run here from now on."""
    sql, args = claim()
    numbers = [row["id"] for row in await connection.fetch(sql, *args)]
    await connection.fetch(SQL.start, numbers, 3)
    return numbers


def claim() -> tuple[str, tuple[Any, ...]]:
    """The engine's claim, as a worker makes it."""
    query = QueryQueueBuilder(engine_settings(SCHEMA)).build_dequeue_query(
        batch_size=MANY,
        entrypoints=["echo"],  # type: ignore[list-item]
        concurrency_limits=[0],
        queue_manager_id=QueueManagerId(OWNER),
        global_concurrency_limit=None,
        heartbeat_timeout=timedelta(seconds=6),
    )
    return query.sql.replace(FOUND, FOUND_BY_INDEX), query.args


def outcomes(numbers: list[int], status: str) -> list[Any]:
    """What a finish is given."""
    rows = [
        (each, 1, status, *[None] * 3, False, None, None, 1, "{}", 0.0, False) for each in numbers
    ]
    return [OWNER, *map(list, zip(*rows, strict=True))]


async def test_a_claim_looks_at_what_it_takes(misled: Any) -> None:
    """Not at all that waits for each job that it takes, and so does the start."""
    await misled.execute("BEGIN; " + FOR_A_CLAIM)
    sql, args = claim()
    assert await run(misled, sql, *args) < ENOUGH
    numbers = [row["id"] for row in await misled.fetch(sql, *args)]
    assert await run(misled, SQL.start, numbers, 3) < ENOUGH


@pytest.mark.parametrize("status", ["completed", "pending"])
async def test_a_finish_looks_at_what_it_writes(misled: Any, status: str) -> None:
    """Whether jobs have ended or are given back; also if others run here."""
    for _ in range(3):
        numbers = await claimed(misled)
        assert len(numbers) == MANY
    assert await run(misled, SQL.finish, *outcomes(numbers, status)) < ENOUGH
    ended = "SELECT count(*) FROM stoat_jobs.job WHERE seq = ANY($1) AND status = $2"
    assert await misled.fetchval(ended, numbers, status) == MANY


async def test_a_beat_looks_at_what_it_renews(misled: Any) -> None:
    """However much waits."""
    numbers = [await claimed(misled) for _ in range(3)][-1]
    assert await run(misled, SQL.beat, numbers, OWNER, 6.0) < ENOUGH
    assert len(await misled.fetch(SQL.beat, numbers, OWNER, 6.0)) == MANY


async def test_a_cancel_looks_at_what_it_cancels(misled: Any) -> None:
    """Of what waits, and of what runs."""
    await claimed(misled)
    for status in ("pending", "running"):
        sql = "SELECT array_agg(id) FROM (SELECT id FROM stoat_jobs.job WHERE status = $1 LIMIT $2)"
        ids = await misled.fetchval(f"{sql} AS few", status, MANY)
        assert await run(misled, SQL.cancel, ids, "cancelled") < ENOUGH
        assert len(await misled.fetch(SQL.cancel, ids, "cancelled")) == MANY * (status == "running")
