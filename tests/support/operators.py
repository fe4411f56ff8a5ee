"""What tests of an operator's commands have in common."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from stoat_jobs import JobBackend, JobResult, create_queue

from .operated import handlers, settings
from .programs import Command

R = TypeVar("R")

APP = f"{settings.__module__}:app"


class Operated:
    """The jobs of the app on one backend, from this process, which runs them only if it is told."""

    def __init__(self, backend: str, url: str, **options: Any) -> None:
        self.where = ["--backend", backend, "--url", url]
        self.backend, self.url = backend, url
        self._settings = settings(backend, url, options=options)

    def worker(self) -> Command:
        """A process that runs jobs; to be closed."""
        program = [sys.executable, "-m", settings.__module__, self.backend, self.url]
        return Command(program)

    def submit(self, job_type: str, *payloads: dict[str, Any], **options: Any) -> list[str]:
        """Submit so many jobs; they wait."""

        async def submit(queue: JobBackend) -> list[str]:
            return [await queue.submit(job_type, each, **options) for each in payloads or [{}]]

        return self._run(submit)

    def record(self, job_id: str) -> JobResult[Any]:
        """The record of a job."""

        async def read(queue: JobBackend) -> JobResult[Any]:
            return await queue.get_result(job_id)

        return self._run(read)

    def finished(self, job_id: str) -> JobResult[Any]:
        """The record of a job when it has finished."""

        async def wait(queue: JobBackend) -> JobResult[Any]:
            return await queue.wait(job_id)

        return self._run(wait)

    def statuses(self, *job_ids: str) -> list[str]:
        """The statuses of jobs; "gone" if there is no record."""

        async def read(queue: JobBackend) -> list[str]:
            known = {job.job_id: str(job.status) for job in await queue.list_jobs(limit=1000)}
            return [known.get(job_id, "gone") for job_id in job_ids]

        return self._run(read)

    def until_running(self, job_id: str) -> None:
        """Wait until a worker has started it."""

        async def wait(queue: JobBackend) -> None:
            async for job in queue.watch(job_id):
                if job.started_at is not None:
                    return

        self._run(wait)

    def _run(self, work: Callable[[JobBackend], Awaitable[R]]) -> R:
        async def run() -> R:
            async with create_queue(handlers, self._settings) as queue:
                return await work(queue)

        return asyncio.run(run())
