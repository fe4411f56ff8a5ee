"""A role's and a database's defaults change nothing on our own connections."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from stoat_jobs._postgres.schema import install
from stoat_jobs._postgres.sql import Sql

from ..support.postgres.cluster import Cluster, name_in
from ..support.postgres.opened import opened
from ..support.postgres.pooler import Pooler

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "jit": "on",
    "lock_timeout": "1",
    "statement_timeout": "1",
    "idle_session_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
}
OURS = {
    "default_transaction_isolation": "read committed",
    "transaction_isolation": "read committed",
    "transaction_read_only": "off",
    "synchronous_commit": "on",
    "jit": "off",
    "lock_timeout": "1500ms",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "12s",
}


@pytest.fixture
def hostile_url(cluster: Cluster, url: str) -> str:
    """A database whose defaults end or mislead every worker."""
    for name, value in HOSTILE.items():
        cluster.sql(f"ALTER DATABASE {name_in(url)} SET {name} = '{value}'")
    return url


async def found(connection: Any, names: Any) -> dict[str, str]:
    rows = [await connection.fetch("SELECT current_setting($1)", name) for name in names]
    return dict(zip(names, [row[0][0] for row in rows]))


async def test_what_we_need_is_set(hostile_url: str) -> None:
    """In the pool, and on the connections of their own that listen and beat."""
    async with opened(hostile_url) as used:
        assert await found(used, OURS) == OURS
        connection = await used.connect(listening=True)
        ours = {**OURS, "idle_session_timeout": "0"}
        assert await found(connection, ours) == ours
        connection.terminate()


async def test_a_pooler_changes_nothing(cluster: Cluster, url: str, pooler: Pooler) -> None:
    """There each transaction sets what it needs, or else these defaults would count."""
    for name, value in HOSTILE.items():
        if not value.isdecimal():  # with such time limits PgBouncer itself cannot connect
            cluster.sql(f"ALTER DATABASE {name_in(url)} SET {name} = '{value}'")
    async with opened(pooler.url(url)) as used:
        ours = {name: value for name, value in OURS.items() if not name.startswith("default")}
        assert await found(used, ours) == ours
        async with used.transaction() as connection:
            assert await found(connection, ours) == ours
        own = await used.connect()  # as the heartbeat has
        await install(own, "stoat_jobs")
        setting = "SELECT current_setting($1) AS setting"
        for name, expected in {**ours, "enable_seqscan": "off"}.items():
            (row,) = await used.fetch_on(own, setting, name)
            assert row["setting"] == expected
        assert await used.fetch_on(own, Sql("stoat_jobs").beat, [1], uuid4(), 6.0) == []
        own.terminate()


async def test_who_we_are_is_seen_on_the_server(url: str) -> None:
    """An administrator finds the schema in pg_stat_activity; the url may give another name."""
    async with opened(url, schema="river") as used:
        assert await found(used, ["application_name"]) == {"application_name": "stoat-jobs river"}
    async with opened(f"{url}?application_name=billing") as used:
        assert await found(used, ["application_name"]) == {"application_name": "billing"}


async def test_our_settings_win_over_options_of_the_url(url: str) -> None:
    """Its ``options`` are passed on, and cannot take from us what we need."""
    options = "options=-c%20jit=on%20-c%20work_mem=5MB"
    async with opened(f"{url}?{options}") as used:
        assert await found(used, ["jit", "work_mem"]) == {"jit": "off", "work_mem": "5MB"}


async def test_a_connection_may_be_idle(cluster: Cluster, url: str) -> None:
    """The server does not end it, whatever it does with others."""
    cluster.sql(f"ALTER DATABASE {name_in(url)} SET idle_session_timeout = '1ms'")
    async with opened(url) as used:
        pid = await used.fetch("SELECT pg_backend_pid()")
        await asyncio.to_thread(cluster.sql, "SELECT pg_sleep(0.2)")
        assert await used.fetch("SELECT pg_backend_pid()") == pid
