"""How jobs begin: never inside ``submit``, never inside each other, and none is lost."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
)
from stoat_jobs._run.tasks import JobTask
from stoat_jobs.backends import JobRun


def queue_of(function: Callable[..., Any]) -> AsyncioJobQueue:
    handlers = JobHandlers()
    handlers.job(function)
    settings = JobQueueSettings(concurrency=1, loop_block_limit=0)
    return AsyncioJobQueue(handlers, settings)


async def test_thousands_of_jobs_that_never_wait_do_not_begin_inside_each_other() -> None:
    """Each hands its slot on to the next, and the stack does not grow."""
    depths = set[int]()

    async def noop(ctx: JobContext) -> None:
        frame: FrameType | None = sys._getframe()
        depth = 0
        while frame is not None:
            frame, depth = frame.f_back, depth + 1
        depths.add(depth)

    async with queue_of(noop) as queue:
        ids = [await queue.submit("noop") for _ in range(5_000)]
        assert not depths  # and none began inside submit
        await queue.wait(ids[-1])
    assert len(depths) <= 2


@pytest.mark.parametrize("stop", ["cancel", "abandon"])
async def test_a_job_that_is_stopped_before_it_begins_is_not_called(stop: str) -> None:
    """It finishes, gives its slot back, and its handler is not counted as running."""
    called = list[str]()

    async def noop(ctx: JobContext) -> None:
        called.append(ctx.job_id)

    async with queue_of(noop) as queue:
        first = await queue.submit("noop")
        if stop == "cancel":
            assert await queue.cancel(first)
        else:
            queue._scheduler.abandon_all()
        second = await queue.submit("noop")
        await queue.wait(second)
        record, stats = await queue.wait(first), await queue.stats()
    assert called == [second]
    assert record.status.is_terminal
    assert record.status is not JobStatus.COMPLETED
    assert (stats.abandoned, stats.slots_in_use) == (0, 0)


async def test_a_task_that_a_ctrl_c_has_left_without_its_run_is_cancelled_as_any(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Whoever cancels all tasks, as `asyncio.run` does, is not stopped by it."""

    async def main() -> None: ...

    task = JobTask(main(), loop=asyncio.get_running_loop())
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


OF_A_RUN = {JobRun._main.__code__, JobRun._attempt.__code__}


def interrupted_at(line: int, retries: int) -> tuple[bool, list[str]]:
    """Let a Ctrl-C fall on this line of a run, counted from 1: whether it has, and the warnings."""
    lines = count(1)
    handlers = JobHandlers()
    hit = []

    @handlers.job(retries=retries)
    async def fails_once(ctx: JobContext) -> None:
        if ctx.attempt < retries:
            raise OSError

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code not in OF_A_RUN:
            return None
        if event == "line" and next(lines) == line:
            hit.append(True)
            raise KeyboardInterrupt
        return trace

    async def live() -> None:
        settings = JobQueueSettings(drain_timeout=0, cancel_grace=0, loop_block_limit=0)
        async with AsyncioJobQueue(handlers, settings) as queue:
            await queue.wait(await queue.submit("fails_once"))

    before = sys.gettrace()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sys.settrace(trace)
        try:
            with suppress(KeyboardInterrupt):
                asyncio.run(live())
        finally:
            sys.settrace(before)
        gc.collect()
    return bool(hit), [str(warning.message) for warning in caught]


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 1])
def test_a_ctrl_c_leaves_no_handler_that_never_began(retries: int) -> None:
    """Wherever in a run it falls, a coroutine of the handler is closed, and Python warns of none."""
    for line in count(1):
        was_hit, warned = interrupted_at(line, retries)
        assert [text for text in warned if "fails_once" in text] == []
        if not was_hit:
            break
    assert line > 10
