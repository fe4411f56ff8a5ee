"""Behind PgBouncer in transaction mode, which keeps nothing between two transactions."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from stoat_jobs import (
    BackendStartError,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
    create_queue,
)
from stoat_jobs._postgres.schema import check, install
from stoat_jobs.postgres import PostgresJobQueue

from ..support import SAFETY_NET
from ..support.fleet.proxy import Proxy
from ..support.postgres.cluster import Cluster
from ..support.postgres.opened import connections, opened, value
from ..support.postgres.pooler import Pooler
from ..support.postgres.standby import Standby
from .queues import queue_on


async def test_a_pooler_is_recognised(url: str, pooler: Pooler) -> None:
    """The start finds it out, and a server itself is taken for what it is."""
    async with opened(url) as direct, opened(pooler.url(url)) as pooled:
        assert (direct.is_pooled, pooled.is_pooled) == (False, True)


async def test_a_pooler_that_ignores_what_we_ask_for_is_recognised(
    cluster: Cluster, url: str
) -> None:
    """Told to ignore unknown startup parameters, it does not refuse us; but our mark is lost."""
    with Pooler(cluster) as lenient:
        settings = lenient.folder / "settings"
        names = ["default_transaction_isolation", "default_transaction_read_only", "jit"]
        names += ["default_transaction_deferrable", "synchronous_commit", "lock_timeout"]
        names += ["statement_timeout", "idle_in_transaction_session_timeout"]
        names += ["idle_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_interval"]
        names += ["tcp_keepalives_count", "stoat_jobs.session"]
        text = settings.read_text() + f"ignore_startup_parameters = {','.join(names)}\n"
        settings.write_text(text)
        lenient.start()
        async with opened(lenient.url(url)) as used:
            assert used.is_pooled
            assert await value(used, "SHOW jit") == "off"
            prepared = "SELECT count(*) FROM pg_prepared_statements"
            assert await value(used, prepared) == 0  # by other processes, too: names are the same


async def test_a_server_beside_a_pooler_is_no_pooler(url: str, pooler: Pooler) -> None:
    """What listens goes where ``listen_url`` leads, with a session of its own."""
    async with opened(pooler.url(url), listen_url=url) as used:
        listening = await used.connect(listening=True)
        heard = asyncio.get_running_loop().create_future()
        await listening.add_listener("channel", lambda *args: heard.set_result(args[-1]))
        await used.fetch("SELECT pg_notify('channel', 'hello')")
        assert await heard == "hello"
        assert await listening.fetchval("SHOW jit") == "off"
        await listening.close()


async def test_statements_do_not_disturb_each_other(url: str, pooler: Pooler) -> None:
    """Many statements at once, each on whatever connection is free: none is prepared there."""
    async with opened(pooler.url(url)) as one, opened(pooler.url(url)) as two:

        async def ask(number: int) -> None:
            used = one if number % 2 else two
            assert (
                await value(used, f"SELECT $1::int + {number % 7}", number) == number + number % 7
            )

        await asyncio.gather(*map(ask, range(300)))


async def test_tables_are_made_through_it(url: str, pooler: Pooler) -> None:
    """By several at once, under a lock that ends with its transaction."""

    async def start() -> None:
        async with opened(pooler.url(url)) as used:
            connection = await used.connect()
            await install(connection, "river")
            await check(connection, "river")
            connection.terminate()

    await asyncio.gather(*(start() for _ in range(4)))
    async with opened(url) as used:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert await value(used, locks) == 0


async def test_a_failed_transaction_does_not_count_as_done(url: str, pooler: Pooler) -> None:
    """COMMIT of a failed transaction rolls back, and that is an error."""
    for each in (url, pooler.url(url)):
        async with opened(each) as used:
            with pytest.raises(RuntimeError, match="rolled back"):
                async with used.transaction() as connection:
                    await connection.execute("CREATE TABLE x (y int)")
                    with pytest.raises(asyncpg.UndefinedTableError):
                        await connection.execute("SELECT * FROM nowhere")
            assert await value(used, "SELECT to_regclass('x')") is None


async def test_jobs_are_done_through_it(
    url: str, pooler: Pooler, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker looks each second, as no notice comes; that is said once, with the remedy."""
    handlers = JobHandlers()

    @handlers.job
    async def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    settings = JobQueueSettings(backend="postgres", url=pooler.url(url))
    async with create_queue(handlers, settings) as queue:
        ids = [await queue.submit("double", {"n": n}) for n in range(3)]
        done = [await queue.wait(job_id, timeout=SAFETY_NET) for job_id in ids]
    assert [record.result for record in done] == [0, 2, 4]
    (told,) = [record for record in caplog.records if record.msg == "notifications_missing"]
    assert "Give the option listen_url" in vars(told)["error"]


async def test_a_standby_behind_it_is_no_server_yet(own_cluster: Cluster, standby: Standby) -> None:
    """After a failover that the pooler follows before the standby is promoted, all is tried again."""
    async with Proxy(own_cluster.port) as proxy:
        with Pooler(own_cluster) as pooler:
            settings = pooler.folder / "settings"
            text = settings.read_text().replace(f"port={own_cluster.port}", f"port={proxy.port}")
            settings.write_text(text)
            pooler.start()
            async with opened(pooler.url(own_cluster.url)) as used:
                await used.fetch("SELECT 1")
                proxy.lead_to(standby.port)
                proxy.cut()
                with pytest.raises(ConnectionError, match="standby"):
                    await used.fetch_retried("SELECT 1", seconds=2.0)
                with pytest.raises(BackendStartError, match="this server is read-only"):
                    await connections(pooler.url(own_cluster.url)).open()
                asking = asyncio.create_task(used.fetch_retried("SELECT 1", seconds=SAFETY_NET))
                await asyncio.to_thread(standby.promote)
                await asking


async def test_without_notices_everything_is_seen_within_a_second_or_two(
    cluster: Cluster, url: str, pooler: Pooler
) -> None:
    """New jobs of others and cancels of what runs, however long the lease is."""
    handlers, started = JobHandlers(), asyncio.Event()

    @handlers.job
    async def held(ctx: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    def queue(*, worker: bool) -> PostgresJobQueue:
        return queue_on(pooler.url(url), handlers, options={"lease": 3600.0, "worker": worker})

    async with queue(worker=True), queue(worker=False) as other:
        job_id = await other.submit("held")
        async with asyncio.timeout(SAFETY_NET):
            await started.wait()
        assert await other.cancel(job_id)
        record = await other.wait(job_id, timeout=SAFETY_NET)
    assert record.status is JobStatus.CANCELLED


async def test_a_start_through_a_pooler_says_what_is_wrong(
    cluster: Cluster, pooler: Pooler
) -> None:
    """A database that is missing behind it, for example."""
    used = connections(pooler.url(cluster.url_of("nowhere")))
    with pytest.raises(Exception, match=r"backend 'postgres' cannot start: .*nowhere"):
        await used.open()
