"""The queue: its name, its options, and the store that keeps its jobs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from stoat_jobs import BackendError
from stoat_jobs.backends import JobStore, StoredJobQueue

from ._store import SqliteStore


class SqliteOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` that the settings may contain."""

    fsync: bool = Field(
        default=True,
        description="Whether each change is on the disk before it takes effect. If not, a power cut"
        " may lose the changes of the last seconds; killing the process loses none.",
    )


class SqliteJobQueue(StoredJobQueue):
    """Keeps jobs in the file ``settings.url``; only one process at a time can open it."""

    name = "sqlite"
    options_type = SqliteOptions

    def make_store(self) -> JobStore:
        if not self.settings.url:
            raise BackendError(self.name, "needs `url` in its settings: the path of its file")
        return SqliteStore(Path(self.settings.url), fsync=self.options.fsync)
