"""The queues on a PostgreSQL server, ours among them: how each submits, and how each works.

All have the same handlers, as many slots, and the server's durability. Each gets its fastest
documented setup: PgQueuer a pool of asyncpg, procrastinate and saq their own pools of psycopg.
What is imported here is imported where it is used, so that type checks do not need any of it.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobQueueSettings

CONCURRENCY = 100
POOL = 10
MOST = 10**7
FOREVER = 10**6

Called = Callable[[], None]


class Submitter:
    """The side that submits."""

    def __init__(self, one: Any, many: Any = None) -> None:
        self.one, self.many = one, many


class ServerQueue(ABC):
    """A queue that keeps its jobs in a database of PostgreSQL."""

    name: str
    modules: tuple[str, ...]
    live: str
    """The query that says how many jobs have not finished."""
    has_batches = True

    @abstractmethod
    def submitting(self, url: str) -> AbstractAsyncContextManager[Submitter]:
        """What submits; the tables are made first."""

    @abstractmethod
    async def work(self, url: str, called: Called) -> None:
        """Be a worker, until the process is killed; each job calls *called*."""


class Stoat(ServerQueue):
    """Ours, with its defaults."""

    name = "postgres"
    modules = ("asyncpg", "pgqueuer")
    live = "SELECT count(*) FROM stoat_jobs.pgqueuer"

    @asynccontextmanager
    async def submitting(self, url: str) -> AsyncIterator[Submitter]:
        async with self.queue(url, lambda: None, worker=False) as queue:

            async def many(count: int) -> None:
                await queue.submit_many("noop", [{}] * count)

            yield Submitter(lambda: queue.submit("noop"), many)

    async def work(self, url: str, called: Called) -> None:
        async with self.queue(url, called, worker=True):
            await asyncio.sleep(FOREVER)

    @asynccontextmanager
    async def queue(self, url: str, called: Called, *, worker: bool) -> AsyncIterator[JobBackend]:
        handlers = JobHandlers()

        @handlers.job
        async def noop(ctx: JobContext) -> None:
            called()

        @handlers.job
        async def held(ctx: JobContext) -> None:
            called()
            await asyncio.Event().wait()

        settings = JobQueueSettings(
            url=url,
            concurrency=CONCURRENCY,
            max_pending=MOST,
            max_results=MOST,
            options={"worker": worker},
        )
        queue = import_module("stoat_jobs.postgres").PostgresJobQueue(handlers, settings)
        async with queue:
            yield queue


class PgQueuer(ServerQueue):
    """It keeps no record of a job; a line of its log says how the job ended."""

    name = "PgQueuer"
    modules = ("asyncpg", "pgqueuer")
    live = "SELECT count(*) FROM pgqueuer"

    @asynccontextmanager
    async def submitting(self, url: str) -> AsyncIterator[Submitter]:
        async with self._driver(url) as driver:
            queries = import_module("pgqueuer.queries").Queries(driver)
            await queries.install()

            async def many(count: int) -> None:
                await queries.enqueue(["noop"] * count, [b"{}"] * count, [0] * count)

            yield Submitter(lambda: queries.enqueue("noop", b"{}"), many)

    async def work(self, url: str, called: Called) -> None:
        async with self._driver(url) as driver:
            queries = import_module("pgqueuer.queries").Queries(driver)
            manager = import_module("pgqueuer.qm").QueueManager(queries)

            @manager.entrypoint("noop")  # type: ignore[untyped-decorator, unused-ignore]
            async def noop(job: Any) -> None:
                called()

            # By default it looks each 30 seconds for what no notification has told it of.
            await manager.run(
                dequeue_timeout=timedelta(seconds=1),
                batch_size=CONCURRENCY // 2,
                max_concurrent_tasks=CONCURRENCY,
            )

    @asynccontextmanager
    async def _driver(self, url: str) -> AsyncIterator[Any]:
        pool = import_module("asyncpg").create_pool(url, min_size=2, max_size=POOL)
        async with pool as opened:
            yield import_module("pgqueuer.db").AsyncpgPoolDriver(opened)


class Procrastinate(ServerQueue):
    """With a job's log of events, as it comes."""

    name = "procrastinate"
    modules = ("procrastinate", "psycopg")
    live = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"

    @asynccontextmanager
    async def submitting(self, url: str) -> AsyncIterator[Submitter]:
        app, noop = self._app(url, lambda: None)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

            async def many(count: int) -> None:
                await noop.batch_defer_async(*[{}] * count)

            yield Submitter(noop.defer_async, many)

    async def work(self, url: str, called: Called) -> None:
        app, _ = self._app(url, called)
        async with app.open_async():
            await app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)

    def _app(self, url: str, called: Called) -> tuple[Any, Any]:
        logging.getLogger("procrastinate").setLevel(logging.ERROR)
        module = import_module("procrastinate")
        connector = module.PsycopgConnector(conninfo=url, min_size=2, max_size=POOL)
        app = module.App(connector=connector)

        @app.task(name="noop")  # type: ignore[untyped-decorator, unused-ignore]
        async def noop() -> None:
            called()

        return app, noop


class Saq(ServerQueue):
    """It has no way to submit many."""

    name = "saq, PostgreSQL"
    has_batches = False
    modules = ("saq", "psycopg_pool")
    live = "SELECT count(*) FROM saq_jobs WHERE status IN ('queued', 'active')"

    @asynccontextmanager
    async def submitting(self, url: str) -> AsyncIterator[Submitter]:
        async with self._queue(url) as queue:
            yield Submitter(lambda: queue.enqueue("noop"))

    async def work(self, url: str, called: Called) -> None:
        async with self._queue(url) as queue:

            async def noop(ctx: Any) -> None:
                called()

            functions = [("noop", noop)]
            worker = import_module("saq").Worker(queue, functions, concurrency=CONCURRENCY)
            worker.SIGNALS = []
            await worker.start()

    @asynccontextmanager
    async def _queue(self, url: str) -> AsyncIterator[Any]:
        logging.getLogger("saq").setLevel(logging.ERROR)
        queue = import_module("saq").Queue.from_url(url, min_size=2, max_size=POOL)
        await queue.connect()
        try:
            yield queue
        finally:
            await queue.disconnect()


OURS, PGQUEUER = Stoat(), PgQueuer()
QUEUES: tuple[ServerQueue, ...] = (OURS, PGQUEUER, Procrastinate(), Saq())
