"""A queue that keeps its jobs in a file keeps every promise of a backend."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from stoat_jobs_lmdb import LmdbJobQueue

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract, JobQueueMachine


def in_file(settings: JobQueueSettings, url: str) -> JobQueueSettings:
    """Add the file to *settings*; without sync, because these tests do not cut the power."""
    return settings.model_copy(update={"url": url, "options": {"sync": False}})


class TestLmdbJobQueue(JobQueueContract):
    @pytest.fixture(autouse=True)
    def keep_in(self, tmp_path: Path) -> None:
        self.url = str(tmp_path / "jobs.lmdb")

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> LmdbJobQueue:
        return LmdbJobQueue(handlers, in_file(settings, self.url), observers)


class LmdbMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> LmdbJobQueue:
        self.folder = tempfile.TemporaryDirectory()
        settings = in_file(settings, str(Path(self.folder.name, "jobs.lmdb")))
        return LmdbJobQueue(handlers, settings, observers)

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestLmdbMachine = LmdbMachine.TestCase
TestLmdbMachine.settings = hypothesis_settings(
    max_examples=30, stateful_step_count=30, deadline=None, derandomize=True, database=None
)
