"""How long a start of the `sqlite` backend takes with many jobs in its file, and what memory.

Each start is that of a fresh process: ``python -m benchmarks.restart FILE``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, JobResult, JobStatus
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoredJob
from stoat_jobs.sqlite import SqliteJobQueue

from .measure import Bench, Figure, Round, Size, require

SECONDS = "start with {:,} finished and {:,} pending jobs"
MEMORY = "start with {:,} finished and {:,} pending jobs, memory"
BOUND = 10**7
AT_ONCE = 5_000


def benches(size: Size) -> list[Bench]:
    finished, pending = counts(size)
    names = (SECONDS.format(finished, pending), MEMORY.format(finished, pending))
    return [Bench(names, lambda: _start(finished, pending), lambda: _made(finished, pending))]


def counts(size: Size) -> tuple[int, int]:
    """Of finished jobs, and of pending ones."""
    return 10 * size.waiting, 5 * size.waiting


def _start(finished: int, pending: int) -> Round:
    path = Path(_made(finished, pending).name, "jobs.db")
    command = [sys.executable, "-m", "benchmarks.restart", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, mebibytes, found = json.loads(done.stdout)
    require(found, finished + pending, "jobs")
    return {
        Figure(SECONDS.format(finished, pending), "s"): seconds,
        Figure(MEMORY.format(finished, pending), "MiB"): mebibytes,
    }


@cache
def _made(finished: int, pending: int) -> tempfile.TemporaryDirectory[str]:
    """A folder with such a file, which is deleted at the end of the process."""
    folder = tempfile.TemporaryDirectory()
    store = SqliteStore(Path(folder.name, "jobs.db"))
    store.open()
    for begin in range(0, finished + pending, AT_ONCE):
        numbers = range(begin, min(finished + pending, begin + AT_ONCE))
        store.write([_job(number + 1, is_finished=number < finished) for number in numbers], [], [])
    store.close()
    return folder


def _job(number: int, *, is_finished: bool) -> StoredJob:
    now = datetime.now(UTC)
    record = JobResult[None](
        job_id=str(uuid4()),
        job_type="held",
        status=JobStatus.COMPLETED if is_finished else JobStatus.PENDING,
        submitted_at=now,
        started_at=now if is_finished else None,
        finished_at=now if is_finished else None,
        metadata={"user": number % 1_000},
    )
    return StoredJob(
        record=record,
        number=number,
        submitted=now.timestamp(),
        payload="" if is_finished else f'{{"n":{number}}}',
        result=f'"{number:0200}"' if is_finished else "",
        timeout=300,
        finish_number=number if is_finished else 0,
    )


async def _measure(path: str) -> tuple[float, float, int]:
    handlers = JobHandlers()

    @handlers.job
    async def held(ctx: JobContext, n: int) -> None:
        await asyncio.Event().wait()

    settings = JobQueueSettings(url=path, max_results=BOUND, max_pending=BOUND, drain_timeout=0)
    queue = SqliteJobQueue(handlers, settings)
    before = _most_memory()
    begun = time.perf_counter()
    async with queue:
        seconds = time.perf_counter() - begun
        mebibytes = _most_memory() - before
        found = sum((await queue.stats()).by_status.values())
    return seconds, mebibytes, found


def _most_memory() -> float:
    """The most that this process ever had, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    logging.disable()
    print(json.dumps(asyncio.run(_measure(sys.argv[1]))))
