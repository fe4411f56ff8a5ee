"""The queue: a name, its options, and the store that it keeps its jobs in."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from stoat_jobs import BackendError
from stoat_jobs.backends import JobStore, StoredJobQueue

from ._store import SqliteStore


class SqliteOptions(BaseModel, frozen=True, extra="forbid"):
    """What the settings' ``options`` may say."""

    fsync: bool = Field(
        default=True,
        description="Whether each change is on the disk before it counts. If not, changes of the"
        " last seconds may be lost when the power fails; no process that is killed loses any.",
    )


class SqliteJobQueue(StoredJobQueue):
    """Jobs in the file that ``settings.url`` names; one process at a time has it open."""

    name = "sqlite"
    options_type = SqliteOptions

    def make_store(self) -> JobStore:
        if not self.settings.url:
            raise BackendError(self.name, "needs `url` in its settings: the path of its file")
        return SqliteStore(Path(self.settings.url), fsync=self.options.fsync)
