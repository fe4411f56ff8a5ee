"""Reads the jobs that a backend keeps, without a queue that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, cast

from stoat_jobs import JobBackend, JobPage, JobQueueSettings, JobResult, create_queue
from stoat_jobs.backends import Capabilities

MOST_PER_PAGE = 1000


class JobReader(Protocol):
    """What a backend's ``open_reader(settings)`` returns, in a context manager."""

    def list_jobs(
        self,
        *,
        status: Sequence[str] | None = None,
        job_type: Sequence[str] | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]: ...

    def get_result(self, job_id: str) -> JobResult[Any]: ...


class Where(NamedTuple):
    """Which jobs are wanted; None for all."""

    status: Sequence[str] | None
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


def open_reader(name: str, url: str | None) -> AbstractContextManager[JobReader]:
    """The reader of the backend *name*.

    Raises:
        UnreadableError: the backend has none.
        JobsError, ValueError, OSError: there is no such backend, or nothing to read at *url*.
    """
    settings = JobQueueSettings(backend=name, url=url)
    queue = asyncio.run(_created(settings))
    open_it = getattr(queue, "open_reader", None)
    if open_it is None:
        raise UnreadableError(name, Capabilities.of(queue).durable)
    return cast(AbstractContextManager[JobReader], open_it(settings))


async def _created(settings: JobQueueSettings) -> JobBackend:
    return create_queue(None, settings)


def pages(reader: JobReader, where: Where, limit: int) -> Iterator[JobPage[Any]]:
    """The newest *limit* jobs. Each page is one short read, so nothing is held between two."""
    cursor: str | None = None
    while limit > 0:
        page = reader.list_jobs(**where._asdict(), before=cursor, limit=min(limit, MOST_PER_PAGE))
        yield page
        limit -= len(page)
        cursor = page.cursor
        if cursor is None:
            return


def older(reader: JobReader, where: Where, cursor: str | None) -> str:
    """How many jobs there are besides those before *cursor*; empty if there are none."""
    if cursor is None:
        return ""
    page = reader.list_jobs(**where._asdict(), before=cursor, limit=MOST_PER_PAGE)
    if not page:
        return ""
    return f"more than {len(page):,} more" if page.cursor else f"{len(page):,} more"
