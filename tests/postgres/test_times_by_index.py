"""What is found by its time is found by an index, however many rows there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stoat_jobs._postgres.sql import Sql

from .plans import SCHEMA, filled_tables, plan_of

SQL = Sql(SCHEMA)


@pytest.fixture
async def filled(url: str) -> AsyncIterator[Any]:
    """A connection to a database with many rows, none of which is old, or due later."""
    async with filled_tables(url, finished=10_000, pending=10_000) as connection:
        yield connection


@pytest.mark.parametrize("mode", ["custom", "generic"])
@pytest.mark.parametrize(
    ("sql", "args"),
    [
        pytest.param(SQL.too_old, (3600.0, 100), id="what is too old"),
        pytest.param(SQL.next_due, (["echo"],), id="what is due next"),
    ],
)
async def test_rows_of_another_time_are_not_looked_at(
    filled: Any, sql: str, args: tuple[Any, ...], mode: str
) -> None:
    """To find that nothing is old, or due later, no row is read to be left out."""
    plan = await plan_of(filled, sql, *args, mode=mode)
    assert [step for step in plan.steps if step.get("Rows Removed by Filter")] == []
    assert [step for step in plan.steps if "Index Cond" in step] != []
