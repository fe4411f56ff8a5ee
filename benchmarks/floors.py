"""Floors: minimal queues in the event loop, to compare with.

A only passes the job to a worker and keeps its result. B starts a task for each job and has no
queue. C has what makes it a job queue: random ids, records with a status, and deadlines.
Two more run functions in threads, at most a hundred at once: those of asyncio's pool, which are
used again and which the exit of the process waits for, and a new daemon thread for each call.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Self

from .measure import Stopwatch

TIMEOUT = 300.0


async def noop() -> object:
    return None


@contextmanager
def workers(work: Callable[[], Awaitable[None]], slots: int) -> Iterator[None]:
    """*slots* tasks that run *work* and are cancelled at the end."""
    tasks = [asyncio.ensure_future(work()) for _ in range(slots)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def floor_a(jobs: int, watch: Stopwatch, slots: int) -> int:
    """asyncio.Queue, the handler awaited by the worker, results in a dict."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    results: dict[int, str] = {}

    async def work() -> None:
        while True:
            number = await queue.get()
            await noop()
            results[number] = "completed"
            queue.task_done()

    with workers(work, slots), watch:
        for number in range(jobs):
            await queue.put(number)
        await queue.join()
        ended = [results[number] for number in range(jobs)]
    return ended.count("completed")


async def floor_b(jobs: int, watch: Stopwatch) -> int:
    """A task for each job, and gather."""
    with watch:
        tasks = [asyncio.ensure_future(noop()) for _ in range(jobs)]
        await asyncio.gather(*tasks)
        ended = [task.done() for task in tasks]
    return ended.count(True)


class Record:
    """A job of floor C."""

    __slots__ = ("job_id", "result", "status", "waiter")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.status = "pending"
        self.result: object = None
        self.waiter: asyncio.Future[None] | None = None


class FloorC:
    """asyncio.Queue, a slotted record with a status, a UUID4, a deadline around the handler."""

    def __init__(self, slots: int) -> None:
        self.records: dict[str, Record] = {}
        self._queue: asyncio.Queue[Record] = asyncio.Queue()
        self._workers = workers(self._work, slots)

    def __enter__(self) -> Self:
        self._workers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.__exit__(None, None, None)

    async def submit(self) -> str:
        record = Record(str(uuid.uuid4()))
        self.records[record.job_id] = record
        await self._queue.put(record)
        return record.job_id

    async def wait(self, job_id: str) -> Record:
        record = self.records[job_id]
        if record.status != "completed":
            record.waiter = asyncio.get_running_loop().create_future()
            await record.waiter
        return record

    async def join(self) -> None:
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            record = await self._queue.get()
            record.status = "running"
            async with asyncio.timeout(TIMEOUT):
                record.result = await noop()
            record.status = "completed"
            if record.waiter is not None:
                record.waiter.set_result(None)
            self._queue.task_done()


async def floor_c(jobs: int, watch: Stopwatch, slots: int) -> int:
    with FloorC(slots) as floor, watch:
        ids = [await floor.submit() for _ in range(jobs)]
        await floor.join()
        ended = [floor.records[job_id].status for job_id in ids]
    return ended.count("completed")


async def to_thread(jobs: int, watch: Stopwatch) -> int:
    return await _in_threads(asyncio.to_thread, jobs, watch)


async def new_threads(jobs: int, watch: Stopwatch) -> int:
    return await _in_threads(_in_new_thread, jobs, watch)


async def _in_threads(
    call: Callable[[Callable[[], str]], Awaitable[str]], jobs: int, watch: Stopwatch
) -> int:
    slots = asyncio.Semaphore(100)

    async def in_a_slot() -> str:
        async with slots:
            return await call(_sync_noop)

    with watch:
        ended = await asyncio.gather(*(in_a_slot() for _ in range(jobs)))
    return ended.count("done")


async def _in_new_thread(function: Callable[[], str]) -> str:
    """As ``asyncio.to_thread`` without its pool: the caller's context, and a future for the end."""
    loop, context = asyncio.get_running_loop(), copy_context()
    future: asyncio.Future[str] = loop.create_future()

    def run() -> None:
        loop.call_soon_threadsafe(future.set_result, context.run(function))

    threading.Thread(target=run, daemon=True).start()
    return await future


def _sync_noop() -> str:
    return "done"
