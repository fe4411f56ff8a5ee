"""What a run of a job needs of the backend that has it run."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import TypeVar

from .._jobs.job_types import JobType
from .._payload.form import FrozenPayload
from .deadlines import Deadlines
from .outcome import Outcome

if TYPE_CHECKING:
    from .run import JobRun


class RunnableJob(Protocol):
    """What is needed of a job to run it."""

    job_id: str
    job_type: str
    payload: FrozenPayload
    timeout: float
    metadata: Mapping[str, str]
    context: contextvars.Context
    """The submitter's; before a run starts, the host sets ``current_job_id`` in it."""


J = TypeVar("J", bound=RunnableJob, default=RunnableJob)


class RunHost(Protocol[J]):
    """The backend's side of a run. The callbacks must not raise."""

    delays: bool
    """False where a retry is not waited for."""

    @property
    def queue(self) -> Any:
        """What handlers see as ``ctx.queue``, and its ``app`` as ``ctx.app``."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def deadlines(self) -> Deadlines: ...

    @property
    def cancel_grace(self) -> float: ...

    def now(self) -> float:
        """The loop's clock, in seconds."""
        ...

    @property
    def kept_as_is(self) -> frozenset[int]:
        """The ids of the types of results that are kept without asking :meth:`keep_result`."""
        ...

    def keep_result(self, handler: JobType[..., Any], value: Any) -> Any:
        """What will be kept of a handler's result; raises what says why it cannot be."""
        ...

    def attempt_started(self, run: JobRun[J], previous: BaseException | None) -> None:
        """The handler is about to be called, after *previous* if again."""
        ...

    def progressed(self, run: JobRun[J], fraction: float, message: str | None) -> None:
        """The handler reported progress."""
        ...

    def stopping(self, run: JobRun[J]) -> None:
        """``run.reason`` was set."""
        ...

    def cut_off(self) -> None:
        """Others have cancelled a job's task, and the queue does not stop: it may be forgotten."""
        ...

    def settled(self, run: JobRun[J], outcome: Outcome) -> None:
        """The job ended; called once."""
        ...
