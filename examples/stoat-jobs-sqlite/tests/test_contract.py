"""A queue that keeps its jobs in a file keeps every promise of a backend."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from stoat_jobs_sqlite import SqliteJobQueue

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract, JobQueueMachine


def in_file(settings: JobQueueSettings, url: str) -> JobQueueSettings:
    """Add the file to *settings*; without fsync, because these tests do not cut the power."""
    return settings.model_copy(update={"url": url, "options": {"fsync": False}})


class TestSqliteJobQueue(JobQueueContract):
    @pytest.fixture(autouse=True)
    def keep_in(self, tmp_path: Path) -> None:
        self.url = str(tmp_path / "jobs.db")

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> SqliteJobQueue:
        return SqliteJobQueue(handlers, in_file(settings, self.url), observers)


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
    max_examples=30, stateful_step_count=30, deadline=None, derandomize=True, database=None
)
