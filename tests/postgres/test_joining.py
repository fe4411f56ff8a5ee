"""A submit joins the caller's transaction, whatever library the caller has it from."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import create_engine, orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from stoat_jobs._postgres.joining import fetch_joined

from ..support.postgres.cluster import Cluster, name_in
from .joining_ways import WAYS, Way, by_asyncpg, dialect

# As the real one: arrays, a cast of an expression, and what other libraries take for their own.
INSERT = """
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::float8[], $5::bigint[])
        AS each(id, note, is_kept, delay, seq)
)
INSERT INTO kept SELECT id, note, is_kept, delay, seq, note || 'j: 100% %s' FROM given
RETURNING id, note, is_kept, delay, seq, mark, now()::text AS at"""
SELECT = "SELECT seq FROM kept WHERE note = $1::text AND seq = $2::bigint"

EVERY_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture
def url(cluster: Cluster, url: str) -> str:
    columns = "id uuid UNIQUE, note text, is_kept boolean, delay float8, seq bigint, mark text"
    cluster.sql(f"CREATE TABLE kept ({columns}); GRANT ALL ON kept TO stoat", name_in(url))
    return url


def count(cluster: Cluster, url: str) -> int:
    return int(cluster.sql("SELECT count(*) FROM kept", name_in(url)))


def job(note: str | None = "one", job_id: UUID | None = None) -> list[list[Any]]:
    return [[str(job_id or uuid4())], [note], [True], [None], [2**40]]


@EVERY_WAY
@pytest.mark.parametrize("commits", [True, False], ids=["committed", "rolled back"])
async def test_a_submit_is_there_if_the_caller_commits(
    cluster: Cluster, url: str, way: Way, commits: bool
) -> None:
    """What was submitted exists when the caller commits, and never if it rolls back."""
    ids = [uuid4(), uuid4()]
    args = [[str(each) for each in ids], [":x %(p1)s", None], [True, False], [0.5, None], [1, 2]]
    async with way(url, commits) as connection:
        rows = await fetch_joined(connection, INSERT, args)
        assert [row["id"] for row in rows] == ids
        assert [row["note"] for row in rows] == [":x %(p1)s", None]
        assert [row["is_kept"] for row in rows] == [True, False]
        assert [row["delay"] for row in rows] == [0.5, None]
        assert rows[0]["mark"] == ":x %(p1)sj: 100% %s"
        assert count(cluster, url) == 0
        (row,) = await fetch_joined(connection, SELECT, [":x %(p1)s", 1])
        assert row["seq"] == 1
        assert list(await fetch_joined(connection, SELECT, ["another", 1])) == []
        assert list(await fetch_joined(connection, "DELETE FROM kept WHERE false", [])) == []
    assert count(cluster, url) == 2 * commits


@EVERY_WAY
async def test_nothing_is_still_something(cluster: Cluster, url: str, way: Way) -> None:
    """Arrays of nothing but NULL, and empty ones, have their types."""
    async with way(url, True) as connection:
        await fetch_joined(connection, INSERT, job(note=None))
        assert list(await fetch_joined(connection, INSERT, [[], [], [], [], []])) == []
    assert count(cluster, url) == 1


@EVERY_WAY
async def test_an_error_is_the_librarys_own(url: str, way: Way) -> None:
    """A statement that fails leaves the caller's transaction as its library does: aborted."""
    again = job()
    async with way(url, False) as connection:
        await fetch_joined(connection, INSERT, again)
        with pytest.raises(Exception, match="unique constraint") as caught:
            await fetch_joined(connection, INSERT, again)
        package = type(caught.value).__module__.partition(".")[0]
        assert package in {each.__module__.partition(".")[0] for each in type(connection).__mro__}
        with pytest.raises(Exception, match="aborted"):
            await fetch_joined(connection, SELECT, ["one", 1])


async def autocommitting(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as on_psycopg:
        yield on_psycopg
    with psycopg.connect(url, autocommit=True) as blocking:
        yield blocking
    for driver in ("asyncpg", "psycopg"):
        engine = create_async_engine(dialect(url, driver), isolation_level="AUTOCOMMIT")
        async with engine.connect() as asynchronous:
            yield asynchronous
        async with AsyncSession(engine) as session:
            yield session
        await engine.dispose()
    engine = create_async_engine(dialect(url, "asyncpg"))
    async with engine.connect() as optioned:
        yield await optioned.execution_options(isolation_level="AUTOCOMMIT")
    await engine.dispose()


async def test_what_commits_by_itself_cannot_be_joined(cluster: Cluster, url: str) -> None:
    """A connection that is in no transaction, and would begin none, is refused."""
    tried = 0
    async for connection in autocommitting(url):
        with pytest.raises(ValueError, match="in no transaction.*begin one first"):
            await fetch_joined(connection, INSERT, job())
        tried += 1
    assert tried == 8
    assert count(cluster, url) == 0


async def taken_out(url: str) -> AsyncIterator[Any]:
    for driver in ("asyncpg", "psycopg"):
        engine = create_async_engine(dialect(url, driver))
        async with engine.connect() as connection:
            fairy = await connection.get_raw_connection()
            yield fairy
            yield fairy.dbapi_connection
            if driver == "psycopg":  # one of asyncpg cannot be recognised: see below
                yield fairy.driver_connection
        await engine.dispose()
    blocking = create_engine(dialect(url, "psycopg"), poolclass=NullPool)
    with blocking.connect() as connection:
        yield connection.connection
        yield connection.connection.driver_connection


async def test_what_was_taken_out_of_sqlalchemy_is_refused(url: str) -> None:
    """SQLAlchemy would not know of the transaction, and could roll back what is acknowledged."""
    tried = 0
    async for connection in taken_out(url):
        with pytest.raises(ValueError, match="taken out of SQLAlchemy"):
            await fetch_joined(connection, INSERT, job())
        tried += 1
    assert tried == 7


async def test_what_was_taken_out_is_joined_where_that_is_right(cluster: Cluster, url: str) -> None:
    """asyncpg's connection in SQLAlchemy's own transaction commits with it, and else is refused."""
    engine = create_async_engine(dialect(url, "asyncpg"))
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        with pytest.raises(ValueError, match="in no transaction"):
            await fetch_joined(raw, INSERT, job())
        await connection.execute(sqlalchemy.text("SELECT 1"))
        await fetch_joined(raw, INSERT, job())
        await connection.commit()
    await engine.dispose()
    assert count(cluster, url) == 1


async def test_what_is_no_connection_is_refused_by_name(url: str) -> None:
    """Pools, engines, cursors and everything else get an error that says what would do."""
    engine = create_async_engine(dialect(url, "asyncpg"))
    blocking = create_engine(dialect(url, "psycopg"))
    connection = await psycopg.AsyncConnection.connect(url)
    async with asyncpg.create_pool(url, min_size=0) as pool, connection:
        others: list[Any] = [
            pool,
            engine,
            blocking,
            connection.cursor(),
            url,
            object(),
            AsyncSession,
        ]
        for other in others:
            with pytest.raises(
                TypeError, match=r"must be a connection of asyncpg.*, not "
            ) as caught:
                await fetch_joined(other, INSERT, job())
            assert type(other).__qualname__ in str(caught.value)
    await engine.dispose()
    blocking.dispose()


async def test_another_database_is_refused() -> None:
    """A session on SQLite is told so, and not that a function is missing."""
    with orm.Session(create_engine("sqlite://", poolclass=NullPool)) as session:
        with pytest.raises(ValueError, match="one to sqlite, not to PostgreSQL"):
            await fetch_joined(session, INSERT, job())


def test_a_connection_of_another_loop_is_refused(url: str) -> None:
    """asyncpg would crash the interpreter, also below SQLAlchemy."""
    engine = create_async_engine(dialect(url, "asyncpg"))
    with asyncio.Runner() as home, asyncio.Runner() as abroad:

        async def connect() -> tuple[Any, Any]:
            raw, connection = await asyncpg.connect(url), await engine.connect()
            await raw.execute("BEGIN")
            return raw, connection

        for each in (both := home.run(connect())):
            with pytest.raises(RuntimeError, match="belongs to another event loop"):
                abroad.run(fetch_joined(each, INSERT, job()))

        async def close() -> None:
            await both[0].close()
            await both[1].close()
            await engine.dispose()

        home.run(close())


@pytest.mark.parametrize(
    ("way", "level"),
    [
        pytest.param(WAYS["asyncpg"], "SERIALIZABLE", id="asyncpg, SERIALIZABLE"),
        *(
            pytest.param(way, "REPEATABLE READ", id=name)
            for name, way in WAYS.items()
            if name != "savepoint"  # its isolation is chosen before
        ),
    ],
)
async def test_a_snapshot_that_cannot_see_the_holder_is_told(
    url: str, way: Way, level: str
) -> None:
    """A key that was taken after the caller's snapshot: its library's error says what to do."""
    insert, held = (
        f"{INSERT.partition('RETURNING')[0]} ON CONFLICT DO NOTHING RETURNING id",
        uuid4(),
    )
    async with way(url, False) as connection:
        await fetch_joined(connection, f"SET TRANSACTION ISOLATION LEVEL {level}", [])
        await fetch_joined(connection, SELECT, ["one", 1])
        async with by_asyncpg(url, True) as other:
            await fetch_joined(other, INSERT, job(job_id=held))
        with pytest.raises(Exception, match="serialize") as caught:
            await fetch_joined(connection, insert, job(job_id=held))
        assert "REPEATABLE READ or SERIALIZABLE" in caught.value.__notes__[0]
        assert "Roll back and try again" in caught.value.__notes__[0]


def test_no_library_is_imported_for_another() -> None:
    """Who has asyncpg needs neither psycopg nor SQLAlchemy, and whoever has none is told."""
    program = """
import asyncio, sys
from stoat_jobs._postgres.joining import fetch_joined
try:
    asyncio.run(fetch_joined(object(), "", []))
except TypeError as error:
    print(error)
print({"asyncpg", "psycopg", "sqlalchemy"} & set(sys.modules))
"""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[0].startswith("connection= must be a connection of asyncpg")
    assert run.stdout.splitlines()[1] == "set()"
