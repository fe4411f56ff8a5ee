"""Threads of executors that work on for a job that has ended are counted and named."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.concurrency import run_in_threadpool

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

SETTINGS = JobQueueSettings(cancel_grace=0.01, loop_block_limit=0)


async def until_none_is_left(queue: AsyncioJobQueue) -> None:
    while (await queue.stats()).abandoned:
        await asyncio.sleep(0)


@pytest.mark.parametrize("borrow", [asyncio.to_thread, run_in_threadpool])
async def test_a_thread_that_a_cancelled_handler_waited_for_is_counted_and_named(
    borrow: Callable[..., Awaitable[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can end it: `abandoned` counts it until it ends, and the log says where it is."""
    handlers = JobHandlers()
    began, gate = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait()

    @handlers.job
    async def borrowing(ctx: JobContext) -> None:
        await borrow(work)

    async with AsyncioJobQueue(handlers, SETTINGS) as queue:
        ref = await borrowing.submit(queue)
        while not began.is_set():
            await asyncio.sleep(0)
        try:
            assert (await queue.stats()).abandoned == 0
            assert await ref.cancel() is True
            # anyio's wait for a thread is not cut short by a cancel: then the handler is left
            # behind.
            assert (await ref.wait()).status is JobStatus.CANCELLED
            assert (await queue.stats()).abandoned == 1
        finally:
            gate.set()  # the end of the event loop waits for the thread
        await asyncio.wait_for(until_none_is_left(queue), 30)
    lines = [record for record in caplog.records if record.msg == "thread_left"]
    assert [(line.levelno, line.job_id) for line in lines] == [(logging.WARNING, ref.job_id)]  # type: ignore[attr-defined]
    assert "threading.py" in lines[0].where  # type: ignore[attr-defined]


async def test_what_an_executor_does_for_others_is_not_a_jobs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thread that the application has at work is not counted when a job is cancelled."""
    handlers = JobHandlers()
    gate = threading.Event()

    @handlers.job
    async def waiting(ctx: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    others = asyncio.ensure_future(asyncio.to_thread(gate.wait))
    async with AsyncioJobQueue(handlers, SETTINGS) as queue:
        ref = await waiting.submit(queue)
        await asyncio.sleep(0)
        try:
            await ref.cancel()
            await ref.wait()
            assert (await queue.stats()).abandoned == 0
        finally:
            gate.set()
    await others
    assert "thread_left" not in [record.msg for record in caplog.records]


async def test_what_another_job_has_at_work_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """A thread that works for a job that goes on is not counted when another is cancelled."""
    handlers = JobHandlers()
    began, gate = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        gate.wait()

    @handlers.job
    async def borrowing(ctx: JobContext) -> None:
        await asyncio.to_thread(work)

    @handlers.job
    async def waiting(ctx: JobContext) -> None:
        await asyncio.get_running_loop().create_future()

    settings = SETTINGS.model_copy(update={"concurrency": 2})
    async with AsyncioJobQueue(handlers, settings) as queue:
        other, ref = await borrowing.submit(queue), await waiting.submit(queue)
        while not began.is_set():
            await asyncio.sleep(0)
        try:
            await ref.cancel()
            await ref.wait()
            assert (await queue.stats()).abandoned == 0
        finally:
            gate.set()
        assert (await other.wait()).status is JobStatus.COMPLETED
    assert "thread_left" not in [record.msg for record in caplog.records]
