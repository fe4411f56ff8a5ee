"""What the page on the backend shows works on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser

from stoat_jobs import JobStatus, create_queue
from stoat_jobs.postgres import PostgresJobQueue

PAGE = Path(__file__).parents[2] / "docs/how-to/deploy-with-postgres.md"
TABLES = """
CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL);
CREATE TABLE charged (job_id uuid PRIMARY KEY);
CREATE TABLE account (name text PRIMARY KEY, cents int NOT NULL);
INSERT INTO account VALUES ('ada', 100);
"""


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the page's examples define."""
    document = Sybil([PythonCodeBlockParser()]).parse(PAGE)
    document.namespace["__name__"] = "shown"
    for example in document.examples():
        example.evaluate()
    return document.namespace


@pytest.fixture
async def pool(url: str) -> AsyncIterator[asyncpg.Pool]:
    """The application's own connections, and its tables."""
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        await pool.execute(TABLES)
        yield pool


@pytest.fixture
async def queue(url: str, shown: dict[str, Any], pool: Any) -> AsyncIterator[PostgresJobQueue]:
    """A queue with the page's handlers and settings."""
    settings = shown["settings"].model_copy(update={"url": url})
    queue = create_queue(shown["handlers"], settings)
    assert isinstance(queue, PostgresJobQueue)
    queue.app = SimpleNamespace(state=SimpleNamespace(pool=pool))
    async with queue:
        yield queue


async def test_an_order_and_its_job_are_committed_together(
    shown: dict[str, Any], queue: PostgresJobQueue, pool: Any
) -> None:
    """The example of a transaction: the job runs once the order is committed."""
    async with pool.acquire() as connection:
        ref = await shown["place_order"](connection, queue, "a stoat")
    assert await ref.value() == "invoice for order 1"


async def test_an_order_that_is_rolled_back_has_no_job(
    shown: dict[str, Any], queue: PostgresJobQueue, pool: Any
) -> None:
    """The example of a transaction: without the order there never was a job."""
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with connection.transaction():
                await shown["place_order"](connection, queue, "a stoat")
                await connection.execute("SELECT 1 / 0")
    assert await queue.list_jobs() == []
    assert await pool.fetchval("SELECT count(*) FROM orders") == 0


async def test_a_health_check_is_well_while_the_queue_is(
    shown: dict[str, Any], queue: PostgresJobQueue
) -> None:
    """The example of a health check: 503 if there is no age, or an old one."""
    for ages, status in [(queue.side_task_ages(), 200), ({}, 503), ({"claim": 31.0}, 503)]:
        of_queue = SimpleNamespace(side_task_ages=lambda ages=ages: ages)
        request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(job_queue=of_queue)))
        response = SimpleNamespace(status_code=200)
        assert await shown["jobs_health"](request, response) == ages
        assert response.status_code == status
    assert {"beat", "claim"} <= set(queue.side_task_ages())


async def test_a_charge_that_runs_twice_charges_once(
    shown: dict[str, Any], queue: PostgresJobQueue, pool: Any
) -> None:
    """The example of an idempotent handler: the second run of a job changes nothing."""
    ref = await shown["charge"].submit(queue, account="ada", cents=30)
    record = await ref.wait()
    assert (record.status, record.result) == (JobStatus.COMPLETED, True)
    twice = SimpleNamespace(app=queue.app, job_id=ref.job_id)
    both = await asyncio.gather(*(shown["charge"].function(twice, "ada", 30) for _ in range(2)))
    assert both == [False, False]
    assert await pool.fetchval("SELECT cents FROM account") == 70
