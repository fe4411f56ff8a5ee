"""What is between a queue and its server, or in its place: a pooler, a standby."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stoat_jobs import JobNotKeptError, JobStatus

from ...support.fleet.fleet import Fleet, until
from ...support.fleet.load import is_told
from ...support.fleet.proxy import Proxy, through
from ...support.postgres.cluster import Cluster
from ...support.postgres.pooler import Pooler
from ...support.postgres.standby import Standby, url_of_all

SHORT = {"lease": 2.0}


async def test_jobs_go_on_after_a_failover(
    own_cluster: Cluster, standby: Standby, tmp_path: Path
) -> None:
    """Of a url of several hosts, processes find the standby that was promoted."""
    own_cluster.configure(synchronous_standby_names="*")
    own_cluster.restart()
    with Fleet(url_of_all(own_cluster, standby), tmp_path, options=SHORT) as fleet:
        worker = await fleet.worker()
        async with fleet.queue(options=SHORT) as queue:
            held = await queue.submit("hold")
            delayed = await queue.submit("echo", delay=1)
            await fleet.started(held)
            waiting = asyncio.ensure_future(queue.wait(held))
            own_cluster.kill()
            standby.promote()
            standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
            standby.sql("SELECT pg_reload_conf()")
            later = await queue.submit("echo")
            fleet.let_go(worker)
            records = [await waiting, await queue.wait(delayed), await queue.wait(later)]
        assert {record.status for record in records} == {JobStatus.COMPLETED}
        assert fleet.gone == []


@pytest.mark.slow
async def test_a_server_that_cannot_write_is_no_server_yet(
    own_cluster: Cluster, standby: Standby, tmp_path: Path
) -> None:
    """Who is led to a standby, which only reads, loses nothing and goes on when it is promoted."""
    own_cluster.configure(synchronous_standby_names="*")
    own_cluster.restart()
    async with Proxy(own_cluster.port) as proxy:
        url = through(proxy, own_cluster.url)
        with Fleet(url, tmp_path, options=SHORT) as fleet:
            worker = await fleet.worker()
            async with fleet.queue(options=SHORT) as queue:
                held = await queue.submit("hold")
                await fleet.started(held)
                watch = queue.watch(held)
                await anext(watch)
                proxy.lead_to(standby.port)
                proxy.cut()
                await fleet.logged("side_task_failed", pid=worker.pid)
                fleet.let_go(worker)
                with pytest.raises(JobNotKeptError, match="read-only"):
                    await queue.submit("echo")
                own_cluster.kill()
                standby.promote()
                standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
                standby.sql("SELECT pg_reload_conf()")
                assert [record.status async for record in watch][-1] is JobStatus.COMPLETED
                later = await queue.wait(await queue.submit("echo"))
                assert later.status is JobStatus.COMPLETED
            assert fleet.gone == []


@pytest.mark.parametrize("listens", [pytest.param(True, marks=pytest.mark.slow), False])
async def test_jobs_run_behind_a_pooler(pooler: Pooler, fleet: Fleet, listens: bool) -> None:
    """Through PgBouncer in transaction mode all works; who leads around it is told at once."""
    options = {"listen_url": fleet.url} if listens else {}
    pooled = pooler.url(fleet.url)
    for _ in range(2):
        await fleet.worker(url=pooled, options=options)
    async with fleet.queue(pooled, options=options) as queue:
        job_ids = [await queue.submit("sleep", {"seconds": 0.1}) for _ in range(30)]
        job_ids += await queue.submit_many("number", [{"n": n} for n in range(100)])
        records = [await queue.wait(job_id) for job_id in job_ids]
        held = await queue.submit("hold", key="one")
        assert await queue.submit("hold", key="one") == held
        await fleet.started(held)
        assert await queue.cancel(held)
        assert (await queue.wait(held)).status is JobStatus.CANCELLED
        if listens:
            await until(lambda: is_told(queue))
    assert {record.status for record in records} == {JobStatus.COMPLETED}
    assert {len(fleet.starts(job_id)) for job_id in job_ids} == {1}
    warnings = fleet.books.entries("log", event="notifications_missing")
    assert len(warnings) == (0 if listens else 2)


@pytest.mark.slow
async def test_a_killed_workers_jobs_run_again_behind_a_pooler__fault_43(
    pooler: Pooler, fleet: Fleet
) -> None:
    """Nothing that a lost session held, a lock or a prepared statement, is in the way."""
    pooled = pooler.url(fleet.url)
    lost = await fleet.worker(url=pooled, options=SHORT)
    async with fleet.queue(pooled) as queue:
        job_ids = [await queue.submit("hold") for _ in range(10)]
        await fleet.started(*job_ids)
        other = await fleet.worker(url=pooled, options=SHORT)
        fleet.let_go(other)
        lost.kill()
        for job_id in job_ids:
            assert (await queue.wait(job_id)).status is JobStatus.COMPLETED
    assert {len(fleet.starts(job_id)) for job_id in job_ids} == {2}
