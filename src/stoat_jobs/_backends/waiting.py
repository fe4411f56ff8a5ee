"""Waiting for a job to change."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

from .._model.records import JobResult
from .job import Job


class Watch(AsyncIterator["JobResult[Any]"]):
    """The records of one job as they change.

    Not an async generator: somebody has to close one that is left half-way.
    """

    __slots__ = ("_find", "_job", "_over", "_seen")

    def __init__(self, find: Callable[[], Job]) -> None:
        self._find = find
        self._job: Job | None = None
        self._seen = -1
        self._over = False

    async def __anext__(self) -> JobResult[Any]:
        if self._over:
            raise StopAsyncIteration
        if self._job is None:
            self._job = self._find()
        while self._seen == self._job.version:
            await self._job.change()
        self._seen = self._job.version
        self._over = self._job.is_finished
        return self._job.record()


async def until_finished(job: Job, timeout: float | None = None) -> None:
    """Wait until *job* has finished.

    Raises:
        TimeoutError: *timeout* seconds passed before.
        ValueError: *timeout* is negative or NaN.
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    now = asyncio.get_running_loop().time
    deadline = math.inf if timeout is None else now() + timeout
    while not job.is_finished:
        if now() >= deadline:
            raise TimeoutError(f"job {job.job_id} is {job.status} after {timeout:g} s")
        await job.change(deadline)
