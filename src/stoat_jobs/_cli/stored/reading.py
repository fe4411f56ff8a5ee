"""Reads the jobs that a backend keeps, without a queue that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from stoat_jobs import JobBackend, JobPage, JobQueueSettings, JobStatus, create_queue
from stoat_jobs.backends import Capabilities, JobReader

# Records have their results, which may be large.
_PER_PAGE = 100


class Where(NamedTuple):
    """Which jobs are wanted; None for all."""

    status: Sequence[JobStatus] | None
    job_type: Sequence[str] | None


class UnreadableError(Exception):
    """The backend has no reader."""

    def __init__(self, name: str, durable: bool) -> None:
        super().__init__(name, durable)
        self.name = name
        self.durable = durable

    def __str__(self) -> str:
        reason = (
            "has nothing that reads its jobs from outside"
            if self.durable
            else "keeps its jobs in the memory of its process"
        )
        return f"backend {self.name!r} {reason}: ask its HTTP face (`stoat-jobs watch URL`)"


def open_reader(settings: JobQueueSettings) -> JobReader:
    """The reader of the backend that *settings* name.

    Raises:
        UnreadableError: the backend has none.
        JobsError, ValueError: there is no such backend, or it refuses the settings.
    """
    queue = asyncio.run(_created(settings))
    open_it = getattr(queue, "open_reader", None)
    if open_it is None:
        raise UnreadableError(settings.backend, Capabilities.of(queue).durable)
    return cast(JobReader, open_it(settings))


async def _created(settings: JobQueueSettings) -> JobBackend:
    return create_queue(None, settings)


def pages(reader: JobReader, where: Where, limit: int) -> Iterator[JobPage[Any]]:
    """The newest *limit* jobs. Each page is one short read, so nothing is held between two."""
    cursor: str | None = None
    while limit > 0:
        page = reader.list_jobs(**where._asdict(), before=cursor, limit=min(limit, _PER_PAGE))
        yield page
        limit -= len(page)
        cursor = page.cursor
        if cursor is None:
            return
