"""Handles on submitted jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, cast

from typing_extensions import TypeVar

from .._model.errors import JobFailedError
from .._model.records import JobResult
from .._model.status import JobStatus
from .protocols import JobBackend

R = TypeVar("R", default=Any)


class JobRef(Generic[R]):
    """A handle on a submitted job; its methods are the queue's, typed.

    Make one from an id that you have kept: ``JobRef(queue, job_id)``. Two are equal if they are
    of the same job of the same queue.
    """

    __slots__ = ("_queue", "job_id")

    def __init__(self, queue: JobBackend, job_id: str) -> None:
        self._queue = queue
        self.job_id: str = job_id

    async def get_status(self) -> JobStatus:
        """The job's status now; see :meth:`AsyncJobQueue.get_status`."""
        return await self._queue.get_status(self.job_id)

    async def get_result(self) -> JobResult[R]:
        """The job's record now; see :meth:`AsyncJobQueue.get_result`."""
        return await self._queue.get_result(self.job_id)

    async def wait(self, timeout: float | None = None) -> JobResult[R]:
        """The terminal record; see :meth:`JobBackend.wait`."""
        return await self._queue.wait(self.job_id, timeout)

    async def value(self, timeout: float | None = None) -> R:
        """What the handler returned, as soon as the job has completed.

        Use :meth:`wait` if an unsuccessful job is a normal case.

        Raises:
            JobFailedError: the job did not complete; its ``record`` says why.
            TimeoutError: the job has not finished after *timeout* seconds.
            JobNotFoundError: unknown, or no longer kept.
        """
        record = await self.wait(timeout)
        if record.status is not JobStatus.COMPLETED:
            raise JobFailedError(record)
        return cast(R, record.result)

    async def cancel(self) -> bool:
        """Ask the job to stop; see :meth:`JobBackend.cancel`."""
        return await self._queue.cancel(self.job_id)

    async def resubmit(self) -> JobRef[R]:
        """Submit the job once more; see :meth:`JobBackend.resubmit`."""
        return JobRef(self._queue, await self._queue.resubmit(self.job_id))

    async def delete(self) -> bool:
        """Drop the record of the job; see :meth:`JobBackend.delete`."""
        return await self._queue.delete(self.job_id)

    def watch(self) -> AsyncIterator[JobResult[R]]:
        """Records as they change; see :meth:`JobBackend.watch`."""
        return self._queue.watch(self.job_id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, JobRef):
            return self._queue is other._queue and self.job_id == other.job_id
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.job_id)

    def __repr__(self) -> str:
        return f"JobRef({self.job_id!r})"
