"""The asyncio backend, writing down what is done to it and what its jobs do."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from stoat_jobs import (
    AsyncioJobQueue,
    BackendError,
    FinishedEvent,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    StartedEvent,
    SubmittedEvent,
)


class LogJobs(JobObserver):
    """Writes each step of a job into a list."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def submitted(self, event: SubmittedEvent) -> None:
        self.log.append(f"submitted {event.job_type}")

    def started(self, event: StartedEvent) -> None:
        self.log.append(f"started {event.job_type}")

    def finished(self, event: FinishedEvent) -> None:
        record = event.record
        outcome = record.status.value
        if record.error_type:
            outcome += f"/{record.error_type}"
        self.log.append(f"{record.job_type} {outcome}")


class RecordedQueue(AsyncioJobQueue):
    """Logs its start and its stop."""

    def __init__(
        self, log: list[str], handlers: JobHandlers | None = None, **settings: Any
    ) -> None:
        super().__init__(handlers, JobQueueSettings(**settings), [LogJobs(log)])
        self.log = log

    async def __aenter__(self) -> Self:
        self.log.append("start")
        await super().__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.log.append("stop")
        try:
            await super().__aexit__(exc_type, exc, traceback)
        finally:
            self.log.append("stopped")


class UnreachableQueue(RecordedQueue):
    """Cannot start: its server does not answer."""

    async def __aenter__(self) -> Self:
        self.log.append("start")
        raise BackendError("recorded", "cannot start: no answer from localhost:5432")


class HangingQueue(RecordedQueue):
    """Waits for its server, for ever."""

    async def __aenter__(self) -> Self:
        self.log.append("start")
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append("start given up")
        return self


class TornQueue(RecordedQueue):
    """Stops, and then loses its connection."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)
        raise ConnectionResetError("lost localhost:5432")


def gated_handlers(gate: asyncio.Event) -> JobHandlers:
    """Job types ``running`` and ``waiting``, which end when *gate* opens."""

    async def work(ctx: JobContext) -> None:
        await gate.wait()

    handlers = JobHandlers()
    handlers.register("running", work)
    handlers.register("waiting", work)
    return handlers


async def submit_two(queue: RecordedQueue) -> None:
    """One job that runs and one that waits for the only slot."""
    await queue.submit("running")
    await queue.submit("waiting")
    while "started running" not in queue.log:
        await asyncio.sleep(0)


TWO_SUBMITTED = ["submitted running", "submitted waiting", "started running"]
CUT_OFF = ["waiting cancelled/Shutdown", "running cancelled/Shutdown"]
