"""Each way to be in a transaction, by each library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import sqlmodel
from sqlalchemy import create_engine, orm
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

Joined = AbstractAsyncContextManager[Any]
Way = Callable[[str, bool], Joined]


class RollbackError(Exception):
    """What the caller rolls back by."""


def dialect(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


@asynccontextmanager
async def by_asyncpg(url: str, commits: bool) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            yield connection
            if not commits:
                raise RollbackError
    except RollbackError:
        pass
    finally:
        await connection.close()


@asynccontextmanager
async def by_asyncpg_pool(url: str, commits: bool) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await (transaction.commit() if commits else transaction.rollback())


@asynccontextmanager
async def by_psycopg(url: str, commits: bool) -> AsyncIterator[Any]:
    connection = await psycopg.AsyncConnection.connect(url)
    connection.cursor_factory = psycopg.AsyncRawCursor
    yield connection
    await (connection.commit() if commits else connection.rollback())
    await connection.close()


@asynccontextmanager
async def by_psycopg_in_a_block(url: str, commits: bool) -> AsyncIterator[Any]:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, connection.transaction(force_rollback=not commits):
        yield connection


@asynccontextmanager
async def by_psycopg_blocking(url: str, commits: bool) -> AsyncIterator[Any]:
    with psycopg.connect(url, row_factory=psycopg.rows.scalar_row) as connection:
        yield connection
        if not commits:
            connection.rollback()


def by_async_connection(driver: str) -> Way:
    @asynccontextmanager
    async def connect(url: str, commits: bool) -> AsyncIterator[Any]:
        engine = create_async_engine(dialect(url, driver))
        async with engine.connect() as connection:
            yield connection
            await (connection.commit() if commits else connection.rollback())
        await engine.dispose()

    return connect


def by_async_session(driver: str, kind: type[AsyncSession]) -> Way:
    @asynccontextmanager
    async def begin(url: str, commits: bool) -> AsyncIterator[Any]:
        engine = create_async_engine(dialect(url, driver))
        async with kind(engine) as session:
            yield session
            await (session.commit() if commits else session.rollback())
        await engine.dispose()

    return begin


@asynccontextmanager
async def by_async_scoped_session(url: str, commits: bool) -> AsyncIterator[Any]:
    engine = create_async_engine(dialect(url, "asyncpg"))
    scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
    yield scoped
    await (scoped.commit() if commits else scoped.rollback())
    await scoped.remove()
    await engine.dispose()


@asynccontextmanager
async def by_connection(url: str, commits: bool) -> AsyncIterator[Any]:
    engine = create_engine(dialect(url, "psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        if commits:
            connection.commit()


def by_session(kind: type[orm.Session]) -> Way:
    @asynccontextmanager
    async def begin(url: str, commits: bool) -> AsyncIterator[Any]:
        with kind(create_engine(dialect(url, "psycopg"), poolclass=NullPool)) as session:
            yield session
            if commits:
                session.commit()

    return begin


@asynccontextmanager
async def by_scoped_session(url: str, commits: bool) -> AsyncIterator[Any]:
    engine = create_engine(dialect(url, "psycopg"), poolclass=NullPool)
    scoped = orm.scoped_session(orm.sessionmaker(engine))
    yield scoped
    if commits:
        scoped.commit()
    scoped.remove()


@asynccontextmanager
async def by_a_savepoint(url: str, commits: bool) -> AsyncIterator[Any]:
    engine = create_async_engine(dialect(url, "asyncpg"))
    async with AsyncSession(engine) as session, session.begin():
        savepoint = await session.begin_nested()
        yield session
        await (savepoint.commit() if commits else savepoint.rollback())
    await engine.dispose()


WAYS: dict[str, Way] = {
    "asyncpg": by_asyncpg,
    "asyncpg's pool": by_asyncpg_pool,
    "psycopg": by_psycopg,
    "psycopg, transaction()": by_psycopg_in_a_block,
    "psycopg, blocking": by_psycopg_blocking,
    "AsyncConnection on asyncpg": by_async_connection("asyncpg"),
    "AsyncConnection on psycopg": by_async_connection("psycopg"),
    "AsyncSession on asyncpg": by_async_session("asyncpg", AsyncSession),
    "AsyncSession on psycopg": by_async_session("psycopg", AsyncSession),
    "AsyncSession of SQLModel": by_async_session("asyncpg", SQLModelSession),
    "async_scoped_session": by_async_scoped_session,
    "Connection": by_connection,
    "Session": by_session(orm.Session),
    "Session of SQLModel": by_session(sqlmodel.Session),
    "scoped_session": by_scoped_session,
    "savepoint": by_a_savepoint,
}
