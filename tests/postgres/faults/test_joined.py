"""Jobs that are part of the caller's transaction: there with the commit, and never without."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest

from stoat_jobs import JobNotFoundError, JobStatus

from ...support.fleet.fleet import Fleet

Begin = Callable[[str], AbstractAsyncContextManager[Any]]


class RolledBackError(Exception):
    """What the caller's own work raises."""


@asynccontextmanager
async def with_asyncpg(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def with_psycopg(url: str) -> AsyncIterator[Any]:
    psycopg = pytest.importorskip("psycopg")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection


@asynccontextmanager
async def with_sqlalchemy(url: str) -> AsyncIterator[Any]:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def with_a_session(url: str) -> AsyncIterator[Any]:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with AsyncSession(engine) as session, session.begin():
            yield session
    finally:
        await engine.dispose()


CALLERS = pytest.mark.parametrize(
    "begin", [with_asyncpg, with_psycopg, with_sqlalchemy, with_a_session]
)


@CALLERS
async def test_a_job_of_a_transaction_runs_when_it_is_committed(fleet: Fleet, begin: Begin) -> None:
    """Nobody sees it before, and then it runs as any other."""
    await fleet.worker()
    async with fleet.queue() as queue:
        async with begin(fleet.url) as connection:
            job_id = await queue.submit("echo", {"value": 1}, connection=connection)
            await queue.wait(await queue.submit("echo"))
            with pytest.raises(JobNotFoundError):
                await queue.get_result(job_id)
            assert fleet.starts(job_id) == []
        record = await queue.wait(job_id)
    assert (record.status, record.result) == (JobStatus.COMPLETED, 1)


@CALLERS
async def test_a_job_of_a_transaction_that_is_rolled_back_never_was(
    fleet: Fleet, begin: Begin
) -> None:
    """It leaves no record, no row, no run, and its key is free."""
    await fleet.worker()
    async with fleet.queue() as queue:
        with pytest.raises(RolledBackError):
            async with begin(fleet.url) as connection:
                job_id = await queue.submit("echo", key="one", connection=connection)
                raise RolledBackError
        other = await queue.submit("echo", key="one")
        assert other != job_id
        await queue.wait(other)
        assert [record.job_id for record in await queue.list_jobs()] == [other]
    assert fleet.starts(job_id) == []
