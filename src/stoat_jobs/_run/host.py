"""What a run of a job needs of its backend."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import TypeVar

from .._jobs.job_types import JobType
from .._payload.frozen import FrozenPayload
from .deadlines import Deadlines
from .outcome import Outcome

if TYPE_CHECKING:
    from .job_run import JobRun


class RunnableJob(Protocol):
    """What is needed of a job to run it."""

    job_id: str
    job_type: str
    payload: FrozenPayload
    timeout: float
    metadata: Mapping[str, Any]
    variables: contextvars.Context
    """The submitter's context variables; the run sets ``current_job_id`` in them."""


J = TypeVar("J", bound=RunnableJob, default=RunnableJob)


class RunHost(Protocol[J]):
    """The backend's side of a run. The callbacks must not raise anything but KeyboardInterrupt."""

    delays: bool
    """False to retry at once, without the backoff."""

    @property
    def queue(self) -> Any:
        """What handlers see as ``ctx.queue``, and its ``app`` as ``ctx.app``."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def deadlines(self) -> Deadlines: ...

    @property
    def cancel_grace(self) -> float:
        """Seconds to stop, where the job type says nothing else."""
        ...

    @property
    def max_metadata_bytes(self) -> int: ...

    def now(self) -> float:
        """The loop's clock, in seconds."""
        ...

    @property
    def kept_as_is(self) -> frozenset[int]:
        """The ids of the types of results that are kept without asking :meth:`keep_result`."""
        ...

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        """What to keep of the value that a handler returned; raises if nothing can be kept."""
        ...

    def attempt_started(self, run: JobRun[J], previous: BaseException | None) -> None:
        """The handler is about to be called; in a retry, *previous* is what it raised before."""
        ...

    def progressed(self, run: JobRun[J], fraction: float, message: str | None) -> None:
        """The handler reported progress."""
        ...

    def metadata_updated(self, run: JobRun[J], metadata: Mapping[str, Any]) -> None:
        """The handler has updated the job's metadata: this is all of it, and read-only."""
        ...

    def stopping(self, run: JobRun[J]) -> None:
        """The job was told to stop, for ``run.reason``."""
        ...

    def cancelled_externally(self) -> None:
        """Others cancelled a job's task, and the queue is not closing: it may be orphaned."""
        ...

    def completed(self, run: JobRun[J], value: Any, now: float) -> None:
        """As :meth:`finished`, for a handler that just returned what is kept as it is.

        *now* is the loop's time.
        """
        ...

    def finished(self, run: JobRun[J], outcome: Outcome) -> None:
        """The job finished; of this, :meth:`completed` and :meth:`dropped` one is called, once."""
        ...

    def dropped(self, run: JobRun[J]) -> None:
        """The handler of a job that another worker has is over, or abandoned.

        Only for a host that calls :meth:`JobRun.drop`. Its slot is free. If ``run.is_alive``,
        the handler was abandoned and goes on.
        """
        ...
