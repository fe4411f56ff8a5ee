"""The queue on a PostgreSQL server keeps every promise of the kit, on both event loops.

What it is excused from, because the server's clock counts and few reports are written, is tested
in the files beside this one, in real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.postgres import PostgresJobQueue
from stoat_jobs.testing import JobQueueContract
from stoat_jobs.testing._contract_durable import DurablePromises
from stoat_jobs.testing._contract_hostile import HostilePromises
from stoat_jobs.testing._contract_lives import LifePromises
from stoat_jobs.testing._contract_processes import ProcessPromises
from stoat_jobs.testing._contract_requeue import RequeuePromises
from stoat_jobs.testing._contract_resisting import ResistingPromises
from stoat_jobs.testing._contract_running import RunningPromises
from stoat_jobs.testing._contract_shutdown import ShutdownPromises
from stoat_jobs.testing._contract_stopping import StoppingPromises
from stoat_jobs.testing._contract_watching import WatchingPromises

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock
from ..support.postgres.cluster import Cluster
from ..support.postgres.emptying import empty


class PostgresContract(JobQueueContract):
    """Each test has the tables empty; they are the same for all, because to make them is slow."""

    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _empty_tables(self, cluster: Cluster) -> None:
        self.url = cluster.url
        asyncio.run(empty(self.url, "stoat_jobs"))

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> PostgresJobQueue:
        changes = {"url": self.url, "options": self.options}
        return PostgresJobQueue(handlers, settings.model_copy(update=changes), observers)


class TestPostgresJobQueue(PostgresContract):
    pass


@pytest.mark.slow
@ON_UVLOOP
class TestPostgresJobQueueOnUvloop(
    RunningPromises,
    StoppingPromises,
    ResistingPromises,
    HostilePromises,
    ShutdownPromises,
    LifePromises,
    DurablePromises,
    RequeuePromises,
    ProcessPromises,
    WatchingPromises,
):
    """Of the promises, those in which the event loop has a part."""

    options: ClassVar[dict[str, Any]] = {}
    loop_factory = UvloopWithFakeClock
    _empty_tables = PostgresContract._empty_tables
    make_queue = PostgresContract.make_queue


@pytest.mark.slow
class TestPostgresJobQueueThatSettles(
    ShutdownPromises, DurablePromises, RequeuePromises, ProcessPromises
):
    """Of the promises, those to which it matters what the shutdown does with running jobs."""

    options: ClassVar[dict[str, Any]] = {"on_shutdown": "settle"}
    _empty_tables = PostgresContract._empty_tables
    make_queue = PostgresContract.make_queue
