"""A queue in the field: as a role without rights, on a socket, on later tables, while idle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from stoat_jobs import (
    BackendError,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobStatus,
    RemovedEvent,
)
from stoat_jobs.postgres import create_tables

from ..support.postgres.cluster import PASSWORD, Cluster, name_in
from .queues import Gate, queue_on, rows_of, until


def handlers_of(gate: Gate) -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job(keep_payload=True)
    async def work(ctx: JobContext, n: int) -> int:
        ctx.set_progress(0.5, "half")
        ctx.update_metadata(n=n)
        return 2 * n

    @handlers.job
    async def hold(ctx: JobContext) -> None:
        await gate.wait(ctx.job_id)

    return handlers


@pytest.fixture
def lowly_url(cluster: Cluster, url: str) -> Iterator[str]:
    """The url of a role that may do nothing but log in, yet."""
    cluster.sql(f"CREATE ROLE lowly_queue LOGIN PASSWORD '{PASSWORD}'")
    yield url.replace("//stoat:", "//lowly_queue:")
    cluster.sql("DROP OWNED BY lowly_queue; DROP ROLE lowly_queue", name_in(url))


async def test_a_role_with_rights_on_the_rows_runs_a_queue(url: str, lowly_url: str) -> None:
    """It starts, submits, runs, reports, cancels, lists, resubmits, deletes and prunes."""
    await create_tables(url)
    gone: list[str] = []

    class Observer:
        def removed(self, event: RemovedEvent) -> None:
            gone.append(event.record.job_id)

    gate = Gate()
    options = {"limits": {"work": 2}}
    with pytest.raises(BackendError, match="lacks rights: user lowly_queue") as caught:
        await queue_on(lowly_url).__aenter__()
    for grant in str(caught.value).partition("and then ")[2].split(";"):
        await rows_of(url, grant)
    queue = queue_on(lowly_url, handlers_of(gate), [Observer()], options=options, result_ttl=2.0)
    async with queue:
        first = await queue.submit("work", {"n": 1}, key="one", unique="kept")
        assert (await queue.wait(first)).metadata == {"n": 1}
        second = await queue.resubmit(first)
        assert (await queue.wait(second)).result == 2
        held = await queue.submit("hold")
        many = await queue.submit_many("work", [{"n": n} for n in range(3)])
        later = await queue.submit("work", {"n": 3}, delay=3600)
        await gate.until(1)
        assert await queue.cancel(held)
        assert (await queue.wait(held)).status is JobStatus.CANCELLED
        assert await queue.cancel_all(job_type="work") >= 1
        assert await queue.get_status(later) is JobStatus.CANCELLED
        assert await queue.delete(second)
        assert len(await queue.list_jobs()) >= 1
        assert (await queue.stats()).by_status
        rest = {first, held, later, *many, second}

        async def is_pruned() -> bool:
            return set(gone) == rest

        await until(is_pruned)
        with pytest.raises(JobNotFoundError):
            await queue.get_result(first)


async def test_a_role_that_only_reads(url: str, lowly_url: str) -> None:
    """It sees every record, list and count, without starting the queue."""
    async with queue_on(url, handlers_of(Gate())) as queue:
        job_id = await queue.submit("work", {"n": 1})
        await queue.wait(job_id)
        later = await queue.submit("work", {"n": 2}, delay=3600)
        await rows_of(url, "GRANT USAGE ON SCHEMA stoat_jobs TO lowly_queue")
        await rows_of(url, "GRANT SELECT ON stoat_jobs.job, stoat_jobs.pgqueuer TO lowly_queue")
        reader = queue_on(lowly_url, handlers_of(Gate()))
        assert (await reader.get_result(job_id)).result == 2
        assert [job.job_id for job in await reader.list_jobs(status="pending")] == [later]
        assert list(await reader.list_jobs(status="running")) == []
        assert len(await reader.list_jobs(job_type="work")) == 2
        assert (await reader.stats()).by_status == (await queue.stats()).by_status


async def test_a_queue_runs_on_tables_of_the_next_version(url: str) -> None:
    """During a rollout: with a column that this code does not know."""
    await create_tables(url)
    await rows_of(url, "UPDATE stoat_jobs.meta SET version = version + 1")
    await rows_of(url, "ALTER TABLE stoat_jobs.job ADD COLUMN colour text DEFAULT 'red'")
    async with queue_on(url, handlers_of(Gate())) as queue:
        job_id = await queue.submit("work", {"n": 1})
        assert (await queue.wait(job_id)).result == 2
        assert [job.job_id for job in await queue.list_jobs()] == [job_id]


async def test_a_queue_on_a_socket(cluster: Cluster, url: str) -> None:
    """The server's own socket leads to the same jobs as its port."""
    gate = Gate()
    there = urlsplit(url)
    on_socket = (
        f"postgresql://{there.username}:{there.password}@{there.path}"
        f"?host={cluster.folder}&port={cluster.port}"
    )
    async with queue_on(on_socket, handlers_of(gate)) as queue:
        job_id = await queue.submit("work", {"n": 1})
        async with queue_on(url, handlers_of(gate), options={"worker": False}) as other:
            assert (await other.wait(job_id)).result == 2
        rows = await rows_of(
            url,
            "SELECT bool_and(client_addr IS NULL) AS by_socket FROM pg_stat_activity"
            " WHERE application_name = 'stoat-jobs stoat_jobs'",
        )
    assert rows[0]["by_socket"]


async def test_who_only_submits_makes_no_transaction_while_idle(own_cluster: Cluster) -> None:
    """The server counts none of it in twelve seconds, which is longer than any pause of ours."""
    own_cluster.configure(autovacuum="off")  # it makes transactions of its own
    own_cluster.restart()
    outside = await asyncpg.connect(own_cluster.admin_url)
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
    database = name_in(own_cluster.url)

    async def is_silent() -> bool:
        before = await outside.fetchval(count, database)
        await asyncio.sleep(12)
        return bool(before) and await outside.fetchval(count, database) == before

    async with queue_on(own_cluster.url, handlers_of(Gate()), options={"worker": False}) as queue:
        await queue.submit("work", {"n": 1})
        async with asyncio.timeout(60):
            while not await is_silent():
                pass
    await outside.close()
