"""Waiting for a job to change, or to finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .._model.records import JobResult
from .._model.status import TERMINAL
from .._run.calls import wake
from .job import Changes, Job

Read = Callable[[Any], Awaitable[JobResult[Any]]]
"""Reads the record of a finished job that is not in memory."""


class Watch(AsyncIterator["JobResult[Any]"]):
    """The records of one job as they change.

    Not an async generator: somebody has to close one that is left half-way.
    """

    __slots__ = ("_changes", "_find", "_job", "_over", "_read", "_seen")

    def __init__(self, find: Callable[[], Job], read: Read | None = None) -> None:
        self._find = find
        self._read = read
        self._job: Job | None = None
        self._changes = Changes()
        self._seen = -1
        self._over = False

    async def __anext__(self) -> JobResult[Any]:
        if self._over:
            raise StopAsyncIteration
        if self._job is None:
            self._job = self._find()
            if not self._job.is_finished:
                self._changes = self._job.watched()
        while self._seen == self._changes.count:
            self._job.check_here()
            await self._changes.next()
        self._seen = self._changes.count
        self._over = self._job.is_finished
        if self._read is None or isinstance(self._job, Job):
            return self._job.record()
        return await self._read(self._job)


async def until_finished(
    job: Job, loop: asyncio.AbstractEventLoop, timeout: float | None = None
) -> None:
    """Wait on *loop*, which runs here, until *job* has finished.

    Not by ``asyncio.wait_for``: before Python 3.12 it can lose a cancel that comes in the same
    round as the finish (python/cpython#86296).

    Raises:
        TimeoutError: *timeout* seconds passed before.
        ValueError: *timeout* is negative or NaN.
        QueueClosedError: the job goes on, but not on this queue.
    """
    if timeout is not None:
        await _until_finished_in_time(job, loop, timeout)
    while job.status not in TERMINAL:
        waiter = job.new_waiter(loop)
        try:
            await waiter
        finally:
            if job.waiters is not None:
                job.forget_waiter(waiter)


async def _until_finished_in_time(
    job: Job, loop: asyncio.AbstractEventLoop, timeout: float
) -> None:
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    deadline = loop.time() + timeout
    while not job.is_finished:
        if loop.time() >= deadline:
            raise TimeoutError(f"job {job.job_id} is {job.status} after {timeout:g} s")
        waiter = job.new_waiter(loop)
        alarm = loop.call_at(deadline, wake, waiter)
        try:
            await waiter
        finally:
            alarm.cancel()
            job.forget_waiter(waiter)
