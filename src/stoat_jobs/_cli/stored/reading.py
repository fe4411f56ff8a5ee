"""Reads the jobs that a backend keeps, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from stoat_jobs import JobBackend, JobPage, JobResult, JobStatus
from stoat_jobs.backends import JobReader

if TYPE_CHECKING:
    from typing import Self

# Records have their results, which may be large.
_PER_PAGE = 100


class Where(NamedTuple):
    """Which jobs are wanted; None for all."""

    status: Sequence[JobStatus] | None
    job_type: Sequence[str] | None
    metadata: Mapping[str, str | bool | int | float] | None


class QueueReader:
    """The jobs of a queue that many processes share, as a :class:`JobReader`.

    The queue is not started: to read, it needs no more than the right to read. The event loop runs
    only during a call, so whoever prints a page may be held up, and interrupted, as usual.
    """

    def __init__(self, queue: JobBackend, runner: asyncio.Runner) -> None:
        self._queue = queue
        self._runner = runner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def list_jobs(self, **arguments: Any) -> JobPage[Any]:
        async def read() -> JobPage[Any]:
            return await self._queue.list_jobs(**arguments)

        return self._runner.run(read())

    def get_result(self, job_id: str) -> JobResult[Any]:
        async def read() -> JobResult[Any]:
            return await self._queue.get_result(job_id)

        return self._runner.run(read())


def pages(reader: JobReader, where: Where, limit: int | None) -> Iterator[JobPage[Any]]:
    """The newest *limit* jobs, or all. Each page is one short read: nothing is held between two."""
    cursor: str | None = None
    while limit is None or limit > 0:
        size = _PER_PAGE if limit is None else min(limit, _PER_PAGE)
        page = reader.list_jobs(**where._asdict(), before=cursor, limit=size)
        yield page
        cursor = page.cursor
        if cursor is None:
            return
        if limit is not None:
            limit -= len(page)
