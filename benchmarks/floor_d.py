"""Floor D: a minimal job queue, made of parts of stoat-jobs.

A job has an id, a record, and a task of its own that no cancellation can lose. There is one timer
for all deadlines, each finished job starts the next one, and old records are dropped. There is no
context for the handler, no payload, log, observers, progress, retries or shutdown, and nothing
waits for a job. The difference to stoat-jobs is the cost of its other promises.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._backends.ids import new_job_id
from stoat_jobs._model.records import unchecked_record
from stoat_jobs._run.clock import as_datetime
from stoat_jobs._run.tasks import first_step

from .floors import TIMEOUT, noop
from .measure import Stopwatch

_MOST_RECORDS = 10_000


class Job:
    """A job of this floor."""

    __slots__ = ("deadline", "error", "finished", "job_id", "result", "started", "status",
                 "submitted")  # fmt: skip

    def __init__(self, job_id: str, submitted: float) -> None:
        self.job_id = job_id
        self.submitted = submitted
        self.status = JobStatus.PENDING
        self.result: object = None
        self.error: str | None = None
        self.started = 0.0
        self.finished = 0.0
        self.deadline = 0.0


class FloorD:
    """A queue in the event loop in which it is created."""

    def __init__(self, slots: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[str, Job] = {}
        self._pending: deque[Job] = deque()
        self._free = slots
        self._finished: deque[Job] = deque()
        self._deadlines: dict[Job, None] = {}
        self._idle: asyncio.Future[None] | None = None
        self._alarm = self._loop.call_later(TIMEOUT, self._stop_late_jobs)
        self._offset = time.time() - time.monotonic()

    def _stop_late_jobs(self) -> None:
        """Do nothing: no job is late here."""

    async def submit(self) -> str:
        job = Job(new_job_id(), self._offset + time.monotonic())
        self._jobs[job.job_id] = job
        self._pending.append(job)
        if self._free:
            self._start()
        return job.job_id

    def _start(self) -> None:
        job = self._pending.popleft()
        self._free -= 1
        job.status = JobStatus.RUNNING
        now = time.monotonic()
        job.started = self._offset + now
        job.deadline = now + TIMEOUT
        self._deadlines[job] = None
        main = self._main(job)
        main.send(None)
        asyncio.Task(main, loop=self._loop)

    async def _main(self, job: Job) -> None:
        try:
            await first_step()
            job.result = await noop()
            job.status = JobStatus.COMPLETED
        except BaseException as error:
            job.status, job.error = JobStatus.FAILED, repr(error)
        job.finished = self._offset + time.monotonic()
        del self._deadlines[job]
        self._finished.append(job)
        if len(self._finished) > _MOST_RECORDS:
            del self._jobs[self._finished.popleft().job_id]
        self._free += 1
        if self._pending:
            self._start()
        elif self._idle is not None and not self._deadlines:
            self._idle.set_result(None)

    async def join(self) -> None:
        """Wait until no job is running; at least one must be."""
        self._idle = self._loop.create_future()
        await self._idle
        self._alarm.cancel()

    async def get_result(self, job_id: str) -> JobResult[object]:
        job = self._jobs[job_id]
        return unchecked_record(
            {
                "job_id": job.job_id, "job_type": "noop", "status": job.status,
                "result": job.result, "error": job.error, "error_type": None,
                "progress": None, "message": None, "attempt": 0,
                "submitted_at": as_datetime(job.submitted),
                "started_at": as_datetime(job.started),
                "finished_at": as_datetime(job.finished),
                "cancel_requested": False, "metadata": {},
            }
        )  # fmt: skip


async def _run_all(floor: FloorD, jobs: int) -> list[str]:
    ids = [await floor.submit() for _ in range(jobs)]
    await floor.join()
    return ids


async def _read_all(floor: FloorD, ids: list[str]) -> int:
    """Read each record, check it and drop it, as with the records of stoat-jobs."""
    good = 0
    for job_id in ids:
        good += (await floor.get_result(job_id)).status is JobStatus.COMPLETED
    return good


async def floor_d(jobs: int, watch: Stopwatch, slots: int) -> int:
    floor = FloorD(slots)
    with watch:
        return await _read_all(floor, await _run_all(floor, jobs))


async def floor_d_read_later(jobs: int, watch: Stopwatch, slots: int) -> int:
    """The same, but building the records is not timed."""
    floor = FloorD(slots)
    with watch:
        ids = await _run_all(floor, jobs)
    return await _read_all(floor, ids)
