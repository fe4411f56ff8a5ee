"""Equal features: what users add to libraries that only run coroutines, and what it costs.

With stoat-jobs they compare aiojobs, Starlette's BackgroundTasks, and ``create_task`` with a
semaphore. ``Jobs`` below is what an application adds to each of these so that an endpoint can
answer how a job went: an id, a record with status, times, result and error, a time limit, and a
limit of the records that are kept. A payload is validated with pydantic, and a record is read as
the pydantic model that FastAPI returns.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from . import contenders
from .contenders import Contender
from .floors import TIMEOUT
from .measure import Bench, Size, Stopwatch
from .ours import FIELDS, make_queue, submit_all

SLOTS = 100
_MOST_RECORDS = 10_000  # the default of stoat-jobs

OURS = "stoat-jobs"
ADDED = (
    "aiojobs, equal features",
    "BackgroundTasks, equal features",
    "create_task and a semaphore, equal features",
)
PAYLOAD = "{}, payload of 3 fields"


class JobRecord(BaseModel):
    """What an endpoint returns for a job."""

    job_id: str
    status: str
    result: Any = None
    error: str | None = None
    submitted_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Payload(BaseModel):
    name: str
    count: int
    urgent: bool


class Jobs:
    """The jobs of an application by id; the oldest finished ones are dropped."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Any]] = {}
        self._finished: deque[str] = deque()

    def add(self) -> dict[str, Any]:
        job_id = str(uuid.uuid4())
        job = {"job_id": job_id, "status": "pending", "submitted_at": datetime.now(UTC)}
        self._jobs[job_id] = job
        return job

    async def run(self, job: dict[str, Any], handler: Callable[..., Any], *args: Any) -> None:
        job["status"] = "running"
        job["started_at"] = datetime.now(UTC)
        try:
            async with asyncio.timeout(TIMEOUT):
                job["result"] = await handler(*args)
            job["status"] = "completed"
        except asyncio.CancelledError:
            job["status"] = "cancelled"
            raise
        except TimeoutError:
            job["status"] = "timeout"
        except Exception as error:
            job["status"], job["error"] = "failed", f"{type(error).__name__}: {error}"
        finally:
            job["finished_at"] = datetime.now(UTC)
            self._drop_oldest(job["job_id"])

    def _drop_oldest(self, job_id: str) -> None:
        self._finished.append(job_id)
        if len(self._finished) > _MOST_RECORDS:
            del self._jobs[self._finished.popleft()]

    def read(self, job_id: str) -> JobRecord:
        return JobRecord(**self._jobs[job_id])


async def _noop() -> None: ...


async def _three_fields(payload: Payload) -> int:
    return payload.count


def _started(jobs: Jobs, *, payload: bool) -> tuple[str, Coroutine[Any, Any, None]]:
    """What an endpoint does: a job's id, and the coroutine that runs it."""
    job = jobs.add()
    if payload:
        running = jobs.run(job, _three_fields, Payload.model_validate(FIELDS))
    else:
        running = jobs.run(job, _noop)
    return job["job_id"], running


async def aiojobs(number: int, watch: Stopwatch, *, payload: bool) -> int:
    module = import_module("aiojobs")
    jobs, ids, last = Jobs(), list[str](), deque[Any](maxlen=SLOTS)
    async with module.Scheduler(limit=SLOTS, pending_limit=number) as scheduler:
        with watch:
            for _ in range(number):
                job_id, running = _started(jobs, payload=payload)
                ids.append(job_id)
                last.append(await scheduler.spawn(running))
            for handle in last:
                await handle.wait()
            return sum(_is_right(jobs.read(job_id), payload=payload) for job_id in ids)


async def background_tasks(number: int, watch: Stopwatch, *, payload: bool) -> int:
    """Each job is a request's only task, which the server awaits after the answer."""
    module = import_module("starlette.background")
    jobs, ids = Jobs(), list[str]()
    with watch:
        for _ in range(number):
            job = jobs.add()
            tasks = module.BackgroundTasks()
            if payload:
                tasks.add_task(jobs.run, job, _three_fields, Payload.model_validate(FIELDS))
            else:
                tasks.add_task(jobs.run, job, _noop)
            ids.append(job["job_id"])
            await tasks()
        return sum(_is_right(jobs.read(job_id), payload=payload) for job_id in ids)


async def create_task(number: int, watch: Stopwatch, *, payload: bool) -> int:
    """A set keeps the tasks, because the event loop keeps only weak references."""
    jobs, ids, last = Jobs(), list[str](), deque[asyncio.Task[None]](maxlen=SLOTS)
    slots, tasks = asyncio.Semaphore(SLOTS), set[asyncio.Task[None]]()

    async def in_a_slot(running: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await running

    with watch:
        for _ in range(number):
            job_id, running = _started(jobs, payload=payload)
            task = asyncio.create_task(in_a_slot(running))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            ids.append(job_id)
            last.append(task)
        await asyncio.gather(*last)
        return sum(_is_right(jobs.read(job_id), payload=payload) for job_id in ids)


async def ours(number: int, watch: Stopwatch, *, payload: bool) -> int:
    async with make_queue(SLOTS) as queue:
        with watch:
            if payload:
                ids = await submit_all(queue, number, "three_fields", FIELDS)
            else:
                ids = await submit_all(queue, number)
            right = 0
            for job_id in ids:
                right += _is_right(await queue.get_result(job_id), payload=payload)
            return right


def _is_right(record: Any, *, payload: bool) -> bool:
    """Whether *record* says completed, with the right result and all times."""
    return (
        record.status == "completed"
        and record.result == (FIELDS["count"] if payload else None)
        and None not in (record.submitted_at, record.started_at, record.finished_at)
    )


def _both(
    name: str, run: Callable[..., Coroutine[Any, Any, int]], module: str | None = None
) -> list[Contender]:
    """The contender without a payload, and with one; each is compared with ours."""
    return [
        Contender(name, partial(run, payload=False), OURS, module=module),
        Contender(
            PAYLOAD.format(name), partial(run, payload=True), PAYLOAD.format(OURS), module=module
        ),
    ]


CONTENDERS = (
    *_both(OURS, ours),
    *_both(ADDED[0], aiojobs, "aiojobs"),
    *_both(ADDED[1], background_tasks, "starlette"),
    *_both(ADDED[2], create_task),
)


def benches(size: Size) -> list[Bench]:
    return contenders.benches(CONTENDERS, size)
