"""A server that goes away, cuts connections, falls silent or is replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from stoat_jobs import BackendError, JobStatus

from ...support.fleet.fleet import BOUND, Fleet, until
from ...support.fleet.load import acknowledged, cut, is_told, settled, submitters
from ...support.fleet.proxy import Proxy, through
from ...support.postgres.cluster import Cluster

SHORT = {"lease": 2.0}


@pytest.fixture
def own_fleet(own_cluster: Cluster, tmp_path: Path) -> Iterator[Fleet]:
    """Processes on a server that the test may stop."""
    with Fleet(own_cluster.url, tmp_path) as fleet:
        yield fleet
        fleet.show()
        assert fleet.gone == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_a_server_that_ends_under_load_loses_nothing(
    own_cluster: Cluster, own_fleet: Fleet, mode: Any
) -> None:
    """Every job that was acknowledged ends once, and whoever waits is told.

    And what ran meanwhile runs once, though the outage was longer than the lease.
    """
    fleet = own_fleet
    for _ in range(2):
        await fleet.worker(options={"lease": 2.0})
    loads = await submitters(fleet)
    for outage in (0.0, 3.0):
        await acknowledged(fleet, 100)
        own_cluster.kill() if mode == "kill" else own_cluster.stop(mode)
        await asyncio.sleep(outage)
        own_cluster.start()
    await acknowledged(fleet, 100)
    verdict = await settled(fleet, *loads, calm=True)
    assert verdict.faults.lines() == []
    assert verdict.counts["jobs acknowledged"] >= 300


@pytest.mark.slow
async def test_connections_that_are_cut_under_load_lose_nothing(fleet: Fleet) -> None:
    """All connections are cut again and again; every job ends once, and none runs twice."""
    for _ in range(2):
        await fleet.worker()
    loads = await submitters(fleet)
    for _ in range(6):
        await acknowledged(fleet, 30)
        await cut(fleet.url)
    await acknowledged(fleet, 30)
    verdict = await settled(fleet, *loads, calm=True)
    assert verdict.faults.lines() == []


@pytest.mark.parametrize("which", ["query ILIKE 'listen%'", "true"])
async def test_a_listener_that_is_cut_listens_again__fault_74(fleet: Fleet, which: str) -> None:
    """After a cut, workers and waiters are told of changes again, and do not poll for them."""
    await fleet.worker()
    async with fleet.queue() as queue:
        await until(lambda: is_told(queue))
        assert await cut(fleet.url, which) >= 2
        await until(lambda: is_told(queue))


async def test_who_waits_is_told_of_an_end_that_came_while_nobody_listened__fault_74(
    fleet: Fleet,
) -> None:
    """After its connection was cut, a listener reads once more what it waits for."""
    worker = await fleet.worker()
    async with fleet.queue() as queue:
        job_ids = [await queue.submit("hold") for _ in range(5)]
        waits = [asyncio.ensure_future(queue.wait(job_id)) for job_id in job_ids]
        await fleet.started(*job_ids)
        await cut(fleet.url)
        fleet.let_go(worker)
        records = await asyncio.wait_for(asyncio.gather(*waits), 60)
    assert {record.status for record in records} == {JobStatus.COMPLETED}


@pytest.mark.slow
async def test_a_worker_whose_connections_fall_silent_is_replaced(
    cluster: Cluster, fleet: Fleet
) -> None:
    """Its jobs run elsewhere after the lease; it notices, and works again when it can."""
    async with Proxy(cluster.port) as proxy:
        silent = await fleet.worker(url=through(proxy, fleet.url), options=SHORT)
        async with fleet.queue(options=SHORT) as queue:
            job_id = await queue.submit("hold")
            await fleet.started(job_id)
            other = await fleet.worker(options=SHORT)
            proxy.swallow()
            await fleet.started(job_id, times=2)
            fleet.let_go(other, silent)
            record = await queue.wait(job_id)
            assert record.result == fleet.starts(job_id)[1]["run"]
            other.terminate()
            await other.ended()
            proxy.flow()
            assert (await queue.wait(await queue.submit("echo"))).status is JobStatus.COMPLETED
    assert len([e for e in fleet.books.entries("finished") if e["job"] == job_id]) == 1


async def test_a_waiter_whose_connection_fell_silent_is_told(
    cluster: Cluster, fleet: Fleet
) -> None:
    """A connection that is half open is found, and replaced, though it gives no error."""
    worker = await fleet.worker()
    async with Proxy(cluster.port) as proxy, fleet.queue(through(proxy, fleet.url)) as queue:
        job_id = await queue.submit("hold")
        waiting = asyncio.ensure_future(queue.wait(job_id))
        await fleet.started(job_id)
        await until(lambda: is_told(queue, 1))
        proxy.swallow_old()
        fleet.let_go(worker)
        assert (await asyncio.wait_for(waiting, 60)).status is JobStatus.COMPLETED


@asynccontextmanager
async def gone(cluster: Cluster, how: str) -> AsyncIterator[None]:
    """The server is away, in this way."""
    cluster.freeze() if how == "frozen" else cluster.kill()
    try:
        yield
    finally:
        if how == "frozen":
            cluster.thaw()
        else:
            cluster.start()


@pytest.mark.parametrize("how", [pytest.param("killed", marks=pytest.mark.slow), "frozen"])
async def test_a_stop_is_bounded_whatever_the_server_does(
    own_cluster: Cluster, own_fleet: Fleet, how: str
) -> None:
    """Workers and submitters stop in the promised time while nobody answers.

    What they ran is run again when the server is back.
    """
    fleet = own_fleet
    worker = await fleet.worker()
    async with fleet.queue() as queue:
        job_ids = [await queue.submit("hold") for _ in range(3)]
        await fleet.started(*job_ids)
        waiting = asyncio.ensure_future(queue.wait(job_ids[0]))
        async with gone(own_cluster, how):
            worker.terminate()
            assert await worker.ended() == 0
            (stopping,) = fleet.books.entries("stopping", pid=worker.pid)
            (down,) = fleet.books.entries("down", pid=worker.pid)
            assert down["at"] - stopping["at"] <= BOUND
            began = time.monotonic()
            await queue.__aexit__(None, None, None)
            assert time.monotonic() - began <= BOUND
            with suppress(Exception):
                await waiting
    other = await fleet.worker()
    await fleet.started(*job_ids, times=2)
    fleet.let_go(other)
    async with fleet.queue() as queue:
        for job_id in job_ids:
            assert (await queue.wait(job_id)).status is JobStatus.COMPLETED


@pytest.mark.slow
async def test_a_server_without_free_connections_is_tried_again(
    cluster: Cluster, fleet: Fleet
) -> None:
    """While the role has no connection left, nothing is lost, and what waits is done later."""
    database = urlsplit(fleet.url).path[1:]
    worker = await fleet.worker()
    async with fleet.queue() as queue:
        job_id = await queue.submit("hold")
        await fleet.started(job_id)
        cluster.sql(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')
        cluster.sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )
        submitting = asyncio.ensure_future(queue.submit("echo"))
        await fleet.logged("side_task_failed", pid=worker.pid)
        fleet.let_go(worker)
        cluster.sql(f'ALTER DATABASE "{database}" CONNECTION LIMIT -1')
        assert (await queue.wait(job_id)).status is JobStatus.COMPLETED
        assert (await queue.wait(await submitting)).status is JobStatus.COMPLETED
    assert len(fleet.starts(job_id)) == 1


async def test_the_defaults_of_a_role_do_not_matter(cluster: Cluster, fleet: Fleet) -> None:
    """Serializable transactions, limits for idling and for statements, and lazy commits."""
    database = urlsplit(fleet.url).path[1:]
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "idle_session_timeout = '300ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "synchronous_commit = off",
        "search_path = ''",
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'SQL, DMY'",
    ):
        cluster.sql(f'ALTER DATABASE "{database}" SET {setting}')
    for _ in range(2):
        await fleet.worker()
    loads = await submitters(fleet)
    await acknowledged(fleet, 100)
    verdict = await settled(fleet, *loads, calm=True)
    assert verdict.faults.lines() == []
    errors = fleet.books.entries("log", level="ERROR")
    assert {entry["event"] for entry in errors} <= {"job_failed"}  # as its handler says


async def test_a_lock_of_somebody_else_is_not_waited_for_without_bound(fleet: Fleet) -> None:
    """A cancel that cannot lock its job ends with an error by name, and works afterwards."""
    async with fleet.queue(options=SHORT) as queue:
        job_id = await queue.submit("echo")
        connection = await asyncpg.connect(fleet.url)
        await connection.execute("BEGIN; SELECT FROM stoat_jobs.job FOR UPDATE")
        with pytest.raises(BackendError, match="held a lock for too long"):
            await queue.cancel(job_id)
        await connection.close()
        assert await queue.cancel(job_id)
        assert await queue.get_status(job_id) is JobStatus.CANCELLED


async def test_a_long_outage_is_an_error_by_name(own_cluster: Cluster, own_fleet: Fleet) -> None:
    """Whatever a caller asks of a server that is away, the error is never the driver's own.

    Above all no `TimeoutError`, which would mean that the job has not finished.
    """
    async with own_fleet.queue() as queue:
        job_id = await queue.submit("echo")
        kept = await queue.submit("echo", key="kept", unique="kept")
        assert await queue.cancel(kept)
        own_cluster.stop()
        asked: list[Any] = [
            queue.wait(job_id),
            queue.cancel(job_id),
            queue.cancel_all(),
            queue.delete(kept),
            queue.resubmit(kept),
            queue.stats(),
            queue.list_jobs(),
        ]
        asked += [queue.get_result(job_id), queue.submit("echo"), queue.submit("echo", key="k")]
        asked += [queue.submit_many("echo", [{}, {}])]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert {isinstance(error, BackendError) for error in errors} == {True}, errors
