"""The queue: its name, its options, and the file that keeps its jobs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from .._model.capabilities import Capabilities
from .._model.settings import JobQueueSettings, Seconds
from .._stored.queue import StoredJobQueue
from .._stored.store import JobReader, JobStore
from .path import path_of
from .reader import SqliteReader
from .store import SqliteStore


class SqliteOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` of the `sqlite` backend."""

    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="`full`: each change is on the disk before it takes effect. `normal`: it is"
        " with the operating system; killing the process loses nothing, but a power cut may lose"
        " the changes of the last seconds, acknowledged jobs among them.",
    )
    lock_wait: Seconds = Field(
        default=0.0,
        description="Seconds to wait at the start for another process to release the file, as in"
        " a rolling deployment. Set it above the time that the other one takes to stop.",
    )
    unsafe_filesystem: bool = Field(
        default=False,
        description="Whether to use a file system on which SQLite may corrupt the file, as NFS."
        " Only if you know that only one machine ever opens it.",
    )
    on_shutdown: Literal["requeue", "settle"] = Field(
        default="requeue",
        description="`requeue`: a job that the shutdown stops runs again at the next start, from"
        " its beginning. `settle`: it ends as `cancelled`, for handlers that must not run twice.",
    )


class SqliteJobQueue(StoredJobQueue):
    """Jobs in an SQLite file, which survive a restart; handlers as in the `asyncio` backend.

    Use it while one machine and one server process are enough, and jobs must not be lost with
    the process. ``settings.url`` is the path of the file, or ``sqlite:///`` and the path; its
    folder must exist. One process at a time has the file open.

    Delivery is at-least-once, so make handlers idempotent. Results are JSON.
    """

    name: ClassVar[str] = "sqlite"
    options_type: ClassVar[type[BaseModel]] = SqliteOptions

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override] # as its options say
        """What it can and cannot do."""
        requeues = self.options.on_shutdown == "requeue"
        return Capabilities(durable=True, requeues_at_shutdown=requeues)

    @property
    def lock_wait(self) -> float:
        """Seconds to wait at the start for another process to release the file."""
        seconds: float = self.options.lock_wait
        return seconds

    def make_store(self) -> JobStore:
        options: SqliteOptions = self.options
        return SqliteStore(
            path_of(self.name, self.settings.url),
            synchronous=options.synchronous,
            unsafe_filesystem=options.unsafe_filesystem,
        )

    @classmethod
    def open_reader(cls, settings: JobQueueSettings) -> JobReader:
        """What reads the jobs of the file in *settings*, also while a queue has it open.

        Raises:
            BackendError: ``url`` is no path of a file.
        """
        options = SqliteOptions.model_validate(settings.options)
        path = path_of(cls.name, settings.url)
        return SqliteReader(cls.name, path, unsafe_filesystem=options.unsafe_filesystem)
