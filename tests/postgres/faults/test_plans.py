"""How much of large tables is read, also of those of which the server has no statistics yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.domain.types import QueueManagerId

from stoat_jobs import JobStatus
from stoat_jobs._model.filters import JobFilter
from stoat_jobs._postgres.claims import _BY_INDEX
from stoat_jobs._postgres.reading_sql import EVER, ReadingSql
from stoat_jobs._postgres.records import BY_INDEX, page_of
from stoat_jobs._postgres.schema import engine_settings
from stoat_jobs._postgres.sql import Sql

from ..plans import SCHEMA, filled_tables, plan_of

FINISHED, PENDING = 100_000, 50_000
LAST = 2**63 - 1
SQL, READING = Sql(SCHEMA), ReadingSql(SCHEMA)

ENOUGH = 500
"""Pages that a claim may touch; all that wait have a thousand."""

FEW = 50
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


FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "failed"},
    {"status": "completed"},
    {"status": "pending"},
    {"status": "running"},
    {"job_type": "echo"},
    {"job_type": "no such type"},
    {"metadata": {"tenant": 1000}},
    {"metadata": {"tenant": 1}},
    {"status": ["pending", "completed"]},
    {"status": ["failed", "cancelled"], "job_type": ["echo", "none"]},
    {"status": ["pending", "failed"], "job_type": "echo"},
]


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize("has_statistics", [True, False])
async def test_listing_reads_indexes(filled: Any, has_statistics: bool, mode: str) -> None:
    """A page reads an index, and no more of it than it shows.

    But one with items of metadata reads all that match them, and one of running jobs together with
    others also those that wait.
    """
    if has_statistics:
        await filled.execute("ANALYZE")
    await filled.execute(BY_INDEX.replace("LOCAL", ""))  # as Records does
    for filters in FILTERS:
        wanted = JobFilter.checked(**filters)
        plan = await plan_of(filled, *page_of(READING, wanted, LAST, EVER, 101), mode=mode)
        assert (plan.whole, plan.pages <= FEW) == ([], True), (filters, plan.pages)
    running = READING.live[JobStatus.RUNNING]
    for names, metadata in ((None, None), (None, '{"tenant": 1000}'), (["none"], None)):
        plan = await plan_of(filled, running, names, metadata, mode=mode)
        assert (plan.whole, plan.pages <= FEW) == ([], True), (names, metadata)


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
    assert (await plan_of(filled, READING.count, 3600.0)).pages <= 1.2 * size
    assert (await plan_of(filled, READING.count_types, 3600.0)).pages <= 2.4 * size
