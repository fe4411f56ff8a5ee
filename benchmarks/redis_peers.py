"""The peers that keep their jobs in Redis; they run if a server answers.

The database is emptied before and after each. The worker runs in the same event loop, because two
processes would have twice the CPU time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any

from .loop_peers import Tally
from .measure import Stopwatch

URL = os.environ.get("BENCH_REDIS_URL", "redis://localhost:6379/15")


@cache
def server() -> int:
    """The major version of the Redis server; 0 if none answers."""
    try:
        client = import_module("redis").Redis.from_url(URL, socket_connect_timeout=1)
        return int(client.info("server")["redis_version"].partition(".")[0])
    except Exception:
        return 0


@asynccontextmanager
async def _running(work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(BaseException):
            await task


def _empty() -> None:
    import_module("redis").Redis.from_url(URL).flushdb()


async def _ended(status: Callable[[], Awaitable[bool]]) -> bool:
    """Wait for a result: it is written a moment after the function has run."""
    for _ in range(10_000):
        if await status():
            return True
        await asyncio.sleep(0.001)
    return False


async def saq(jobs: int, watch: Stopwatch) -> int:
    _empty()
    module, types = import_module("saq"), import_module("saq.job")
    logging.getLogger("saq").setLevel(logging.ERROR)  # it logs a warning when it stops
    tally = Tally(jobs)

    async def noop(ctx: Any) -> None:
        tally.add()

    queue = module.Queue.from_url(URL)
    await queue.connect()
    worker = module.Worker(queue, functions=[("noop", noop)], concurrency=100)
    worker.SIGNALS = []

    async def is_complete(key: str) -> bool:
        job = await queue.job(key)
        return job is not None and job.status is types.Status.COMPLETE

    async with _running(worker.start):
        with watch:
            sent = [(await queue.enqueue("noop", timeout=300)).key for _ in range(jobs)]
            await tally.done.wait()
            ended = [await _ended(lambda key=key: is_complete(key)) for key in sent]  # type: ignore[misc]
    await queue.disconnect()
    _empty()
    return min(tally.ran, ended.count(True))


async def arq(jobs: int, watch: Stopwatch) -> int:
    _empty()
    module, connections = import_module("arq"), import_module("arq.connections")
    read = import_module("arq.jobs")
    tally = Tally(jobs)

    async def noop(ctx: Any) -> None:
        tally.add()

    pool = await module.create_pool(connections.RedisSettings.from_dsn(URL))
    worker = module.Worker(
        functions=[module.func(noop, name="noop")],
        redis_pool=pool,
        max_jobs=100,
        poll_delay=0.001,
        handle_signals=False,
    )

    async def is_complete(job: Any) -> bool:
        return bool(await job.status() is read.JobStatus.complete)

    async with _running(worker.async_run):
        with watch:
            sent = [await pool.enqueue_job("noop", _job_id=uuid.uuid4().hex) for _ in range(jobs)]
            await tally.done.wait()
            ended = [await _ended(lambda job=job: is_complete(job)) for job in sent]  # type: ignore[misc]
    await pool.aclose()
    _empty()
    return min(tally.ran, ended.count(True))


async def streaq(jobs: int, watch: Stopwatch) -> int:
    """Two workers, one to work and one to submit: each can be entered only once."""
    _empty()
    module = import_module("streaq")
    tally = Tally(jobs)

    async def noop() -> None:
        tally.add()

    worker = module.Worker(redis_url=URL, concurrency=100, handle_signals=False)
    worker.task(name="noop")(noop)
    sender = module.Worker(redis_url=URL)
    submitted = sender.task(name="noop")(noop)

    async def is_done(task: Any) -> bool:
        return bool(await task.status() is module.TaskStatus.DONE)

    async with sender, _running(worker.run_async):
        with watch:
            sent = [await submitted.enqueue() for _ in range(jobs)]
            await tally.done.wait()
            # The status, because reading a result subscribes first, which takes 0.1 s.
            ended = [await _ended(lambda task=task: is_done(task)) for task in sent]  # type: ignore[misc]
    _empty()
    return min(tally.ran, ended.count(True))
