"""Waiting for a job to change, or to finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from .._model.errors import JobNotFoundError, QueueClosedError
from .._model.records import JobResult
from .records import Records, checked_id
from .subscription import Subscription
from .telling import Telling

# Seconds that the first read has, however short the caller's time is.
_READ = 2.0


class Watch(AsyncIterator["JobResult[Any]"]):
    """The records of one job as they change."""

    def __init__(self, telling: Telling | None, records: Records, job_id: str) -> None:
        """*telling* is None if the queue is not started."""
        self._telling = telling
        self._records = records
        self._job_id = job_id
        self._subscription: Subscription | None = None
        self._count = 0
        self._last: JobResult[Any] | None = None

    async def __anext__(self) -> JobResult[Any]:
        if self._last is not None and self._last.status.is_terminal:
            raise StopAsyncIteration
        if self._last is None:
            if self._telling is not None:
                self._subscription = self._telling.subscribe(checked_id(self._job_id))
            self._last = await self._records.get(self._job_id)
            return self._last
        while (record := await self._next(self._subscription)) == self._last:
            pass
        self._last = record
        return record

    async def _next(self, subscription: Subscription | None) -> JobResult[Any]:
        if subscription is None:
            raise QueueClosedError
        while subscription.count == self._count:
            if subscription.is_closed:
                raise QueueClosedError
            await subscription.next()
        self._count = subscription.count
        if subscription.record is None:
            raise JobNotFoundError(self._job_id)
        return subscription.record


async def until_finished(
    telling: Telling | None, records: Records, job_id: str, timeout: float | None
) -> JobResult[Any]:
    """The terminal record, as soon as there is one; *telling* is None if the queue is not started.

    Raises:
        TimeoutError: *timeout* seconds passed before.
        ValueError: *timeout* is negative or NaN.
        JobNotFoundError: unknown, or no longer kept.
        QueueClosedError: the queue closes before.
        BackendError: the server does not answer in this time, or in two seconds if that is longer.
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None or timeout == float("inf") else loop.time() + timeout
    subscription = None if telling is None else telling.subscribe(job_id)
    within = None if deadline is None else max(deadline - loop.time(), _READ)
    record = await records.get(job_id, within)
    seen = 0
    while not record.status.is_terminal:
        if subscription is None:
            raise QueueClosedError
        if subscription.count != seen:
            seen = subscription.count
            if subscription.record is None:
                raise JobNotFoundError(job_id)
            record = subscription.record
            continue
        if deadline is not None and loop.time() >= deadline:
            raise TimeoutError(f"job {job_id} is {record.status} after {timeout:g} s")
        if subscription.is_closed:
            raise QueueClosedError
        await _next(subscription, deadline)
    return record


async def _next(subscription: Subscription, deadline: float | None) -> None:
    loop = asyncio.get_running_loop()
    alarm = None if deadline is None else loop.call_at(deadline, subscription.wake_waiters)
    try:
        await subscription.next()
    finally:
        if alarm is not None:
            alarm.cancel()
