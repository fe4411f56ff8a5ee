"""The queue: its name, its options, and the store that keeps its jobs."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from stoat_jobs import BackendError
from stoat_jobs.backends import JobStore, StoredJobQueue

from ._store import LmdbStore


class LmdbOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` that the settings may contain."""

    sync: bool = Field(
        default=True,
        description="Whether each change is on the disk before it takes effect. If not, a power cut"
        " may damage the file; killing the process loses nothing.",
    )


class LmdbJobQueue(StoredJobQueue):
    """Keeps jobs in the file ``settings.url``; only one process at a time can open it."""

    name = "lmdb"
    options_type = LmdbOptions

    def make_store(self) -> JobStore:
        if not self.settings.url:
            raise BackendError(self.name, "needs `url` in its settings: the path of its file")
        return LmdbStore(Path(self.settings.url), sync=self.options.sync)
