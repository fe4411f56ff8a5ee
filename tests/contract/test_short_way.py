"""A handler that just returns a plain value finishes by a shorter way, and nobody can tell."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    FinishedEvent,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobResult,
)
from stoat_jobs._backends.scheduler import Scheduler

handlers = JobHandlers()
SETTINGS = JobQueueSettings(loop_block_limit=0, concurrency=2)

# What differs from job to job.
OWN = {"job_id", "submitted_at", "started_at", "finished_at"}


@handlers.job
async def returns(ctx: JobContext, value: Any = None) -> Any:
    ctx.set_progress(0.5, "half")
    return value


@handlers.job(retries=1)
async def fails_once(ctx: JobContext) -> int:
    if ctx.attempt == 0:
        raise OSError("once")
    return ctx.attempt


@handlers.job
def in_a_thread(ctx: JobContext) -> str:
    ctx.set_progress(1.0)
    return "from a thread"


class Ends(JobObserver):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def finished(self, event: FinishedEvent) -> None:
        self.seen.append((shown(event.record), event.duration_s is None, event.abandoned))


def shown(record: JobResult[Any]) -> dict[str, Any]:
    return record.model_dump(exclude=OWN)


async def finishes() -> list[Any]:
    """What is seen of the ends of all kinds of jobs that complete."""
    observer = Ends()
    async with AsyncioJobQueue(handlers, SETTINGS, [observer]) as queue:
        watched = []
        for value in (None, True, 1, 1.5, "text", [1]):
            job_id = await queue.submit("returns", {"value": value}, key="one at a time")
            watched.append([shown(record) async for record in queue.watch(job_id)])
        for job_type in ("fails_once", "in_a_thread"):
            record = await queue.wait(await queue.submit(job_type))
            watched.append([shown(record)])
        stats = (await queue.stats()).model_dump(exclude={"by_type"})  # which has durations
        listed = [shown(record) for record in await queue.list_jobs()]
        assert not queue._index.keys._holders
        assert not any(queue._scheduler.deadlines._groups.values())
    return [watched, stats, listed, observer.seen]


def test_the_short_way_to_the_end_is_the_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records, events, figures, keys and deadlines are the same whichever way a job finishes."""
    ways: list[str] = []

    def noted(name: str) -> Callable[..., None]:
        method = getattr(Scheduler, name)

        def way(*args: Any) -> None:
            ways.append(name)
            method(*args)

        return way

    for name in ("completed", "finished"):
        monkeypatch.setattr(Scheduler, name, noted(name))
    by_both = asyncio.run(finishes())
    assert (ways.count("completed"), ways.count("finished")) == (5, 3)
    monkeypatch.setattr(Scheduler, "kept_as_is", frozenset())
    ways.clear()
    assert asyncio.run(finishes()) == by_both
    assert set(ways) == {"finished"}


def test_a_loop_that_goes_on_in_another_thread_takes_the_queue_along() -> None:
    """The queue belongs to the loop, in whichever thread that runs; other threads are refused."""
    loop = asyncio.new_event_loop()
    queue = AsyncioJobQueue(handlers, SETTINGS)

    async def result() -> Any:
        return (await queue.wait(await queue.submit("returns", {"value": 1}))).result

    def refused() -> bool:
        with pytest.raises(RuntimeError, match="outside the event loop"):
            asyncio.run(result())
        return True

    async def beside() -> bool:
        return await asyncio.to_thread(refused)

    def run(main: Any) -> Any:
        return loop.run_until_complete(main)

    try:
        run(queue.__aenter__())
        with ThreadPoolExecutor(1) as other:
            for _ in range(2):
                assert other.submit(run, result()).result() == 1
            assert queue._thread != threading.get_ident()
            assert other.submit(run, beside()).result()
        assert (run(result()), run(beside())) == (1, True)
        run(queue.__aexit__(None, None, None))
    finally:
        run(loop.shutdown_default_executor())
        loop.close()
