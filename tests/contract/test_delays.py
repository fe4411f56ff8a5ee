"""Delayed jobs in the in-process queues: one timer, the loop's clock, and the test's backend."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
    UnknownJobTypeError,
)
from stoat_jobs.testing import FakeClockLoop

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock

LOOPS = [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]

handlers = JobHandlers()
SETTINGS = JobQueueSettings(loop_block_limit=0)


@handlers.job
async def noop(ctx: JobContext) -> None: ...


def on(loop_type: Any, main: Any) -> Any:
    loop = loop_type()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()


@pytest.mark.parametrize("loop_type", LOOPS)
def test_delayed_jobs_have_one_timer(loop_type: Any) -> None:
    """Thousands that wait for their time are one timer of the loop, which the stop cancels."""

    async def main(loop: Any) -> None:
        async with AsyncioJobQueue(handlers, SETTINGS) as queue:
            timers: set[int] = set()
            later = loop.call_later

            def call_later(*args: Any, **options: Any) -> Any:
                timers.add(id(args[1]))
                return later(*args, **options)

            loop.call_later = call_later
            ids = [await queue.submit("noop", delay=100 + each % 7) for each in range(500)]
            assert len(timers) == 1
            await loop.advance(200)
            records = [await queue.get_result(job_id) for job_id in ids]
        assert {record.status for record in records} == {JobStatus.COMPLETED}

    on(loop_type, main)


@pytest.mark.parametrize("loop_type", LOOPS)
def test_a_delay_follows_the_loops_time(loop_type: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set forwards neither starts a delayed job nor moves it back."""

    async def main(loop: Any) -> None:
        async with AsyncioJobQueue(handlers, SETTINGS) as queue:
            delayed = await queue.submit("noop", delay=100)
            wall = __import__("time").time
            monkeypatch.setattr("time.time", lambda: wall() + 3600)
            await queue.wait(await queue.submit("noop"))
            later = await queue.submit("noop", delay=110)
            assert await queue.get_status(delayed) is JobStatus.PENDING
            await loop.advance(101)
            assert await queue.get_status(delayed) is JobStatus.COMPLETED
            assert await queue.get_status(later) is JobStatus.PENDING
            await loop.advance(10)
            assert await queue.get_status(later) is JobStatus.COMPLETED

    on(loop_type, main)


async def test_memory_does_not_wait_for_delays() -> None:
    """A submit of a delayed job runs it, and its record has the time."""
    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("noop", delay=3600))
    assert record.status is JobStatus.COMPLETED
    assert record.not_before is not None


async def test_run_next_runs_what_is_due_next() -> None:
    """Each state can be seen: pending with its time, then finished, in the order of due times."""
    settings = JobQueueSettings(options={"autorun": False})
    queue = InMemoryJobQueue(handlers, settings)
    late, early, now = [await queue.submit("noop", delay=delay) for delay in (20, 10, None)]
    assert (await queue.get_result(late)).status is JobStatus.PENDING
    ran = [await queue.run_next() for _ in range(3)]
    assert [record and record.job_id for record in ran] == [now, early, late]
    assert await queue.run_next() is None


async def test_memory_runs_many_before_submit_many_returns() -> None:
    """One after another; from inside a handler, they run before the outer submit returns."""
    nesting = JobHandlers()
    nested: list[str] = []

    @nesting.job
    async def inner(ctx: JobContext, n: int) -> int:
        return n

    @nesting.job
    async def outer(ctx: JobContext) -> None:
        nested.extend(await ctx.queue.submit_many("inner", [{"n": 1}, {"n": 2}]))
        for job_id in nested:
            assert await ctx.queue.get_status(job_id) is JobStatus.PENDING

    queue = InMemoryJobQueue(nesting)
    ids = await queue.submit_many("inner", [{"n": each} for each in range(3)])
    assert [(await queue.get_result(job_id)).result for job_id in ids] == [0, 1, 2]
    record = await queue.get_result(await queue.submit("outer"))
    assert record.error is None
    assert [(await queue.get_result(job_id)).result for job_id in nested] == [1, 2]


async def test_a_default_outcome_is_that_of_unknown_job_types() -> None:
    """Types with a handler or an outcome of their own keep it; others are accepted and end so."""
    queue = InMemoryJobQueue(handlers)
    with pytest.raises(UnknownJobTypeError):
        await queue.submit("anything", {"n": 1})
    queue.set_outcome("scripted", result=1)
    queue.set_default_outcome(status=JobStatus.FAILED, error=ValueError("no"))
    seen = [await queue.get_result(await queue.submit(each)) for each in ("noop", "scripted", "x")]
    assert [record.status for record in seen] == ["completed", "completed", "failed"]
    assert seen[2].error_type == "ValueError"
    queue.set_default_outcome(result={"n": 2})
    assert (await queue.get_result(await queue.submit("x", {"a": [1]}))).result == {"n": 2}
    with pytest.raises(TypeError):
        queue.set_default_outcome(result=object())
    for name in ("", None, 7):
        with pytest.raises(UnknownJobTypeError):
            await queue.submit(name)  # type: ignore[arg-type]


async def test_submit_many_gives_up_turns() -> None:
    """Other tasks of the loop run while thousands of payloads are validated."""
    queue = AsyncioJobQueue(handlers, JobQueueSettings(loop_block_limit=0, max_pending=5_000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with queue:
        counting = asyncio.ensure_future(count())
        ids = await queue.submit_many("noop", [{}] * 2_000)
        assert turns >= 15
        counting.cancel()
        await queue.wait(ids[-1])
