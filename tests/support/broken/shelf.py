"""A shelf of queues that each break one promise, for the kit to catch."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self

from stoat_jobs import (
    AsyncioJobQueue,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobObserver,
    JobPage,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
)
from stoat_jobs._backends.scheduler import Scheduler


class DeafToCancels(AsyncioJobQueue):
    """Says that it cancels, and does not."""

    async def cancel(self, job_id: str) -> bool:
        return not (await self.get_status(job_id)).is_terminal


class RunsWhatWasCancelled(AsyncioJobQueue):
    """Says that a waiting job is cancelled, and calls its handler all the same."""

    async def cancel(self, job_id: str) -> bool:
        record = await self.get_result(job_id)
        answer = await super().cancel(job_id)
        if record.status is JobStatus.PENDING:
            handler = self.handlers.get(record.job_type).function
            self._late = asyncio.ensure_future(handler(JobContext(job_id=job_id)))
        return answer


class AlwaysCancels(AsyncioJobQueue):
    """Says that it cancelled what had ended."""

    async def cancel(self, job_id: str) -> bool:
        await super().cancel(job_id)
        return True


class ChangesOptions(AsyncioJobQueue):
    """Base of those that lose an option of a submission."""

    changed: Mapping[str, Any] = {}

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        return await super().submit(job_type, payload, **{**options, **self.changed})


class IgnoresKeys(ChangesOptions):
    changed = {"key": None}


class IgnoresTimeouts(ChangesOptions):
    changed = {"timeout": math.inf}


class LosesMetadata(ChangesOptions):
    changed = {"metadata": None}


class ChangesSettings(AsyncioJobQueue):
    """Base of those that do not keep to a setting."""

    changed: Mapping[str, Any] = {}

    def __init__(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any] = ()
    ) -> None:
        super().__init__(handlers, settings.model_copy(update=dict(self.changed)), observers)


class Overbooks(AsyncioJobQueue):
    """Runs twice as many jobs as it has slots for."""

    def _concurrency(self) -> int:
        return 2 * super()._concurrency()


class KeepsResultsForEver(ChangesSettings):
    changed = {"max_results": 1_000_000, "result_ttl": math.inf}


class NeverFull(ChangesSettings):
    changed = {"max_pending": 1_000_000}


class DrainsForEver(ChangesSettings):
    changed = {"drain_timeout": 100_000.0}


class NoGrace(ChangesSettings):
    changed = {"cancel_grace": 0.0}


class AcceptsAfterClose(AsyncioJobQueue):
    """Takes work that nobody will do."""

    async def submit(self, *args: Any, **options: Any) -> str:
        try:
            return await super().submit(*args, **options)
        except QueueClosedError:
            return str(uuid.uuid4())


class WaitsForSlots(AsyncioJobQueue):
    """Submits like a function call: it is back when the work is done."""

    async def submit(self, *args: Any, **options: Any) -> str:
        job_id = await super().submit(*args, **options)
        await self.wait(job_id)
        return job_id


class LeavesWaitersAtClose(AsyncioJobQueue):
    """Whoever waits when it closes, waits for ever."""

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        waiting = not (await self.get_status(job_id)).is_terminal
        record = await super().wait(job_id, timeout)
        if waiting and not self.started:
            await asyncio.get_running_loop().create_future()
        return record


class LeavesStreamsAtClose(AsyncioJobQueue):
    """A watch that is open when it closes comes to no end."""

    async def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        async for record in super().watch(job_id):
            if record.status.is_terminal and not self.started:
                await asyncio.get_running_loop().create_future()
            yield record


class OldestFirst(AsyncioJobQueue):
    """Lists its jobs the wrong way round."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        limit = filters.pop("limit", 100)
        return JobPage((await super().list_jobs(**filters, limit=1_000))[::-1][:limit])


class ListsNothing(AsyncioJobQueue):
    """Asked for a status that there is not, it finds no job."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        known = filters.get("status") in (None, *JobStatus)
        return await super().list_jobs(**filters) if known else JobPage([])


class TakesAnyKey(AsyncioJobQueue):
    """Cuts a key to what it can hold, so that two may become one."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        if key := options.get("key"):
            options["key"] = key.encode(errors="replace")[:1024].decode()
        return await super().submit(job_type, payload, **options)


class DiesWithItsTask(AsyncioJobQueue):
    """One task takes on all jobs, and nobody looks whether it is still there."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._wanted: asyncio.Queue[Any] = asyncio.Queue()
        self._taker = asyncio.create_task(self._take_on_jobs())
        return self

    async def _take_on_jobs(self) -> None:
        while True:
            answer, args, options = await self._wanted.get()
            answer.set_result(await super().submit(*args, **options))

    async def submit(self, *args: Any, **options: Any) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._wanted.put_nowait((answer, args, options))
        return await answer


class StartsTwice(AsyncioJobQueue):
    """A second start is taken for a good one."""

    async def __aenter__(self) -> Self:
        return self if self.started else await super().__aenter__()


class CallsTimeoutsFailures(AsyncioJobQueue):
    """Cannot tell its own deadline from an error of the handler."""

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        if record.status is JobStatus.TIMEOUT:
            return record.model_copy(update={"status": JobStatus.FAILED})
        return record

    async def get_status(self, job_id: str) -> JobStatus:
        return (await self.get_result(job_id)).status


class ForgetsObservers(AsyncioJobQueue):
    """Tells nobody."""

    def __init__(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[JobObserver]
    ) -> None:
        super().__init__(handlers, settings)


class StatusGoesBack(AsyncioJobQueue):
    """Somebody writes an old record over the last one."""

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        if record.progress == 0.25:  # reported while it ran
            return record.model_copy(update={"status": JobStatus.RUNNING})
        return record


class LosesWakeUps(AsyncioJobQueue):
    """Who waits for a job that is still running is never told."""

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        if not (await self.get_status(job_id)).is_terminal:
            await asyncio.get_running_loop().create_future()
        return await super().wait(job_id, timeout)


class EvictsRunning(AsyncioJobQueue):
    """Counts all records against ``max_results``, those of live jobs too."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        return JobPage((await super().list_jobs(**filters))[: self.settings.max_results])

    async def get_status(self, job_id: str) -> JobStatus:
        if job_id not in [job.job_id for job in await self.list_jobs()]:
            raise JobNotFoundError(job_id)
        return await super().get_status(job_id)


class _StackOfJobs(Scheduler):
    def fill(self) -> None:
        while self.pending and len(self.running) < self.concurrency and self.started:
            job = list(self.pending)[-1]
            self.pending.leave(job)
            self._start(job)

    @property
    def started(self) -> bool:
        return self.phase.value == "started"


class HidesItsHandlers(AsyncioJobQueue):
    """Runs handlers that it does not show."""

    def __init__(self, handlers: JobHandlers | None = None, *args: Any) -> None:
        super().__init__(None, *args)
        self._hidden = handlers or JobHandlers()

    def _stand_in(self, job_type: str) -> Any:
        return self._hidden.get(job_type)


class StartsLastFirst(AsyncioJobQueue):
    """Keeps what waits on a stack."""

    _scheduler_type = _StackOfJobs


class _LeakyScheduler(Scheduler):
    def finished(self, run: Any, outcome: Any) -> None:
        self.concurrency -= outcome.status is not JobStatus.COMPLETED and self.concurrency > 0
        super().finished(run, outcome)


class LeaksSlots(AsyncioJobQueue):
    """A job that does not complete takes its slot along."""

    _scheduler_type = _LeakyScheduler


class MixesResults(AsyncioJobQueue):
    """Gives the result of whatever ended last."""

    last: Any = None

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        record = await super().wait(job_id, timeout)
        self.last = record.result
        return record

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        return record.model_copy(update={"result": self.last}) if record.result else record


class RepeatsIds(AsyncioJobQueue):
    """Gives an id again when its job is over."""

    first: str | None = None

    async def submit(self, *args: Any, **options: Any) -> str:
        job_id = await super().submit(*args, **options)
        self.first = self.first or job_id
        return self.first if len(await self.list_jobs()) > 10 else job_id
