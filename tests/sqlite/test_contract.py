"""The queue whose jobs are in an SQLite file keeps every promise of a backend."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.backends import Capabilities
from stoat_jobs.sqlite import SqliteJobQueue
from stoat_jobs.testing import JobQueueContract, JobQueueMachine

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock


def in_file(settings: JobQueueSettings, url: str, **options: Any) -> JobQueueSettings:
    """Add the file to *settings*; without syncs, because these tests do not cut the power."""
    return settings.model_copy(update={"url": url, "options": {"synchronous": "normal", **options}})


class TestSqliteJobQueue(JobQueueContract):
    options: dict[str, Any] = {}

    @pytest.fixture(autouse=True)
    def keep_in(self, tmp_path: Path) -> None:
        self.url = str(tmp_path / "jobs.db")

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> SqliteJobQueue:
        return SqliteJobQueue(handlers, in_file(settings, self.url, **self.options), observers)


@pytest.mark.slow
class TestSqliteJobQueueThatSettles(TestSqliteJobQueue):
    """With ``on_shutdown="settle"``, what the shutdown stops ends as ``cancelled``."""

    options = {"on_shutdown": "settle"}


@pytest.mark.slow
@ON_UVLOOP
class TestSqliteJobQueueOnUvloop(TestSqliteJobQueue):
    loop_factory = UvloopWithFakeClock


@pytest.mark.parametrize("on_shutdown", ["requeue", "settle"])
def test_what_it_declares(on_shutdown: str, tmp_path: Path) -> None:
    """It is durable, and its option says what the shutdown does with running jobs."""
    settings = in_file(JobQueueSettings(), str(tmp_path / "jobs.db"), on_shutdown=on_shutdown)
    declared = Capabilities.of(SqliteJobQueue(None, settings))
    requeues = on_shutdown == "requeue"
    assert declared == Capabilities(durable=True, requeues_at_shutdown=requeues)


class SqliteMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> SqliteJobQueue:
        self.folder = tempfile.TemporaryDirectory()
        settings = in_file(settings, str(Path(self.folder.name, "jobs.db")))
        return SqliteJobQueue(handlers, settings, observers)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = hypothesis_settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine may be busy
)
