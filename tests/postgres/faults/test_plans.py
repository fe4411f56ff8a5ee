"""How much of large tables is read, also of those of which the server has no statistics yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.domain.types import QueueManagerId

from stoat_jobs._postgres.claims import _BY_INDEX
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.records import _PLAN_EACH
from stoat_jobs._postgres.schema import engine_settings
from stoat_jobs._postgres.sql import EVER, Sql

from ..plans import SCHEMA, filled_tables, plan_of
from ..queues import queue_on

FINISHED, PENDING = 100_000, 50_000
LAST = 2**63 - 1
SQL = Sql(SCHEMA)
Filters = tuple[list[str] | None, list[str] | None, str | None]
"""Statuses, types and metadata."""

ENOUGH = 500
"""Pages that a claim may touch; all that wait have a thousand."""

FEW = 20
"""Pages that a page of a list may touch; all records have two thousand."""


@pytest.fixture
async def filled(url: str) -> AsyncIterator[Any]:
    """A connection to a database with many rows."""
    async with filled_tables(url, finished=FINISHED, pending=PENDING) as connection:
        yield connection


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


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("limit", [0, 1_000])
async def test_a_claim_reads_an_index_and_not_the_table(filled: Any, limit: int, mode: str) -> None:
    """However many rows were just loaded, to claim ten touches a few pages."""
    await filled.execute("BEGIN; " + _BY_INDEX)  # as Claims do
    for _ in range(3):
        query, args = claim([limit])
        plan = await plan_of(filled, query, *args, mode=mode)
        assert (plan.whole, plan.pages <= ENOUGH) == ([], True), plan.pages
        numbers = [row["id"] for row in await filled.fetch(query, *args)]
        assert len(numbers) == 10
        plan = await plan_of(filled, SQL.start, numbers, 3, mode=mode)
        assert (plan.whole, plan.pages <= ENOUGH) == ([], True), plan.pages


BY_ORDER: list[Filters] = [
    (None, None, None),
    (["failed"], None, None),
    (["completed"], None, None),
    (None, ["echo"], None),
    (None, ["no such type"], None),
    (None, None, '{"tenant": 1000}'),
    (None, None, '{"tenant": 1}'),
]
BY_STATISTICS: list[Filters] = [
    (["pending", "completed"], None, None),
    (["failed"], ["echo"], None),
]


@pytest.mark.parametrize("has_statistics", [True, False])
async def test_listing_reads_indexes(filled: Any, has_statistics: bool) -> None:
    """A page of any filter reads an index, and no more of it than it shows.

    Without statistics that is so of one status, one type, or metadata.
    """
    if has_statistics:
        await filled.execute("ANALYZE")
    for filters in BY_ORDER + BY_STATISTICS:
        plan = await plan_of(filled, SQL.page, LAST, EVER, *filters, 101)
        assert plan.whole == [], filters
        if has_statistics or filters in BY_ORDER:
            assert plan.pages <= FEW, filters
    for names, metadata in ((None, None), (None, '{"tenant": 1000}'), (["none"], None)):
        plan = await plan_of(filled, SQL.live, "running", names, metadata)
        assert (plan.whole, plan.pages <= FEW) == ([], True), (names, metadata)


async def test_lists_are_planned_for_their_filters(
    url: str, filled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a statement was run, the next filter has a plan of its own."""
    seen = []

    async def noted(self: Connections, sql: str, *args: Any, local: str = "") -> Any:
        seen.append((sql, local))
        return []

    monkeypatch.setattr(Connections, "ask", noted)
    queue = queue_on(url)
    await queue.list_jobs(status="failed")
    async with filled.transaction():
        await filled.execute(_PLAN_EACH)
        assert await filled.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
    assert seen == [(SQL.page, _PLAN_EACH)]


@pytest.mark.parametrize("mode", ["custom", "generic"])
async def test_keeping_and_looking_read_indexes(filled: Any, mode: str) -> None:
    """Whatever is asked again and again reads what it returns, with or without a plan for all."""
    asked: list[tuple[Any, ...]] = [
        (SQL.waiting, 10_000),
        (SQL.too_old, EVER, 100),
        (SQL.too_many, 10_000, 100),
        (SQL.next_due, ["echo"]),
    ]
    for query, *args in asked:
        plan = await plan_of(filled, query, *args, mode=mode)
        assert (plan.whole, plan.pages <= ENOUGH) == ([], True), (query, plan.pages)


async def test_counting_reads_each_record_once_or_twice(filled: Any) -> None:
    """What `stats` asks for is a pass over the table, and for the times by type a second one."""
    size = await filled.fetchval(
        f"SELECT pg_relation_size('{SCHEMA}.job') / current_setting('block_size')::int"
    )
    assert (await plan_of(filled, SQL.count, 3600.0)).pages <= 1.2 * size
    assert (await plan_of(filled, SQL.count_types, 3600.0)).pages <= 2.4 * size
