"""Notices come from a real server, through whatever stands between, or are made up for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import pytest

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.options import PostgresOptions
from stoat_jobs._postgres.telling import Telling
from stoat_jobs._postgres.url import address_of

from ..support.loops import ON_UVLOOP
from ..support.postgres.cluster import Cluster, name_in
from ..support.postgres.pooler import Pooler

Run = Callable[[Coroutine[Any, Any, None]], None]

SAFETY = 60.0  # real seconds after which a test gives up
CHANNEL = "stoat_jobs.jobs"


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=ON_UVLOOP)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one kind of loop."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        make_loop = import_module(request.param).new_event_loop
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main)

    return run


class Here:
    """What one process knows and heard."""

    def __init__(self) -> None:
        self.record = JobResult.model_construct(job_id="a", status=JobStatus.RUNNING)
        self.reads = 0
        self.work = 0
        self.cancelled: list[str] = []

    async def read(self, ids: list[str]) -> dict[str, JobResult[Any]]:
        self.reads += 1
        return dict.fromkeys(ids, self.record)

    def on_work(self) -> None:
        self.work += 1


@asynccontextmanager
async def telling(here: Here, url: str, **options: Any) -> AsyncIterator[Telling]:
    given = PostgresOptions(**options)
    connections = Connections("postgres", address_of("postgres", url), given)
    await connections.open()
    telling = Telling(
        connections, "stoat_jobs", here.read, on_work=here.on_work, on_cancel=here.cancelled.append
    )
    try:
        await telling.start(10.0)
        yield telling
    finally:
        await telling.close()
        await connections.close(1.0)


async def until(is_so: Callable[[], bool]) -> None:
    limit = time.monotonic() + SAFETY
    while not is_so():
        assert time.monotonic() < limit
        await asyncio.sleep(0.005)


def notify(cluster: Cluster, url: str, payload: str, channel: str = CHANNEL) -> None:
    cluster.sql(f"SELECT pg_notify('{channel}', '{payload}')", name_in(url))


async def hears_again(cluster: Cluster, url: str, here: Here) -> None:
    """Return when notices come; those of the first moment are made up for by reads and the beat."""
    here.cancelled.clear()
    while "b" not in here.cancelled:
        notify(cluster, url, "c:b")
        await asyncio.sleep(0.1)


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def listener(url: str) -> str:
    name = name_in(url)
    return f"FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'LISTEN%'"


def test_notices_come(
    cluster: Cluster, url: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Changes, cancels and work are heard when they are committed, on either kind of loop."""

    async def main() -> None:
        here = Here()
        async with telling(here, url) as told:
            subscription = told.subscribe("a")
            await until(lambda: subscription.count == 1)
            work = here.work
            notify(cluster, url, "j:b,a")
            notify(cluster, url, "c:a,c")
            notify(cluster, url, '{"operation" : "insert"}', "stoat_jobs.engine")
            await until(lambda: subscription.count >= 3 and here.work > work)
            assert here.cancelled == ["a", "c"]

    run(main())
    assert events(caplog) == []
    limit = time.monotonic() + SAFETY
    while cluster.sql(f"SELECT count(*) {listener(url)}") != "0":
        assert time.monotonic() < limit


async def test_a_listener_that_was_cut_listens_again(cluster: Cluster, url: str) -> None:
    """After `pg_terminate_backend` everything is read once more, and notices come again."""
    here = Here()
    async with telling(here, url) as told:
        subscription = told.subscribe("a")
        for _ in range(3):
            count, work = subscription.count, here.work
            await until(lambda: cluster.sql(f"SELECT count(*) {listener(url)}") == "1")
            cluster.sql(f"SELECT pg_terminate_backend(pid) {listener(url)}")
            await until(lambda: subscription.count > count and here.work > work)
            await hears_again(cluster, url, here)


async def test_a_server_that_restarts_and_freezes(
    own_cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Notices come again after a stop, a kill and a silence, and each is logged a few times."""
    here, url = Here(), own_cluster.url
    async with telling(here, url) as told:
        subscription = told.subscribe("a")
        for interrupt in (own_cluster.stop, own_cluster.kill):
            interrupt()
            own_cluster.start()
            await hears_again(own_cluster, url, here)
        own_cluster.freeze()
        await until(lambda: told.side_tasks[0].age > 0)
        own_cluster.thaw()
        count = subscription.count
        notify(own_cluster, url, "j:a")
        await until(lambda: subscription.count > count)
    assert len(events(caplog)) <= 16


async def test_a_close_while_the_server_is_frozen(own_cluster: Cluster) -> None:
    """Nobody is left asleep, and the close does not wait for the server."""
    here = Here()
    async with telling(here, own_cluster.url) as told:
        subscription = told.subscribe("a")
        await subscription.next()
        own_cluster.freeze()
        await told.close()
        assert subscription.is_closed
        own_cluster.thaw()


async def test_through_a_pooler(
    cluster: Cluster, url: str, pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    """In transaction mode no notice comes: one warning says what to do, and a poll sees changes."""
    here = Here()
    async with telling(here, pooler.url(url)) as told:
        assert events(caplog) == ["notifications_missing"]
        assert "listen_url" in caplog.text
        subscription = told.subscribe("a")
        await until(lambda: subscription.count >= 3)
    assert events(caplog) == ["notifications_missing"]


async def test_around_a_pooler(
    cluster: Cluster, url: str, pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    """With a listen_url that leads to the server itself notices come at once."""
    here = Here()
    async with telling(here, pooler.url(url), listen_url=url):
        notify(cluster, url, "c:a")
        await until(lambda: here.cancelled == ["a"])
    assert events(caplog) == []


async def test_a_listen_url_to_another_database(
    cluster: Cluster, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes the LISTEN, and nothing ever comes: that is seen at the start."""
    async with telling(Here(), url, listen_url=cluster.url):
        assert events(caplog) == ["notifications_missing"]
