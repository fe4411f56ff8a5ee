"""What one life of a queue leaves behind does not reach into the next, and a job leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus
from stoat_jobs._backends import job_index
from stoat_jobs._model.status import transition
from stoat_jobs.backends import JobRun

handlers = JobHandlers()
AT_ONCE = JobQueueSettings(loop_block_limit=0, drain_timeout=0, cancel_grace=0)
PATIENT = JobQueueSettings(loop_block_limit=0, drain_timeout=600)


@handlers.job
async def hold(ctx: JobContext) -> str:
    await ctx.app.wait()
    return "held"


@handlers.job
async def holds_a_list(ctx: JobContext) -> list[str]:
    await ctx.app.wait()
    return ["held"]


async def until_running(queue: AsyncioJobQueue, job_id: str) -> None:
    while await queue.get_status(job_id) is JobStatus.PENDING:
        await asyncio.sleep(0)


def test_a_thread_that_one_life_has_left_does_not_disturb_the_next() -> None:
    """A queue that abandoned a thread can be left again, in another event loop too."""
    begun, let_go = threading.Event(), threading.Event()

    @(own := JobHandlers()).job
    def stuck(ctx: JobContext) -> None:
        begun.set()
        let_go.wait()

    queue = AsyncioJobQueue(own, AT_ONCE)

    async def live(*job_types: str) -> int:
        async with queue:
            for job_type in job_types:
                await queue.submit(job_type)
                await asyncio.to_thread(begun.wait)
        return (await queue.stats()).abandoned

    try:
        assert asyncio.run(live("stuck")) == 1
        assert asyncio.run(live()) == 1
    finally:
        let_go.set()


def begin_and_close_the_loop(queue: AsyncioJobQueue, *, drains: bool) -> None:
    """Let a task enter *queue*, perhaps begin to leave it, and close the loop under it."""

    async def own() -> None:
        async with queue:
            await queue.submit("hold")
            await asyncio.sleep(0)
            if not drains:
                await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    queue.app = asyncio.Event()
    loop.create_task(own())
    for _ in range(5):
        loop.run_until_complete(asyncio.sleep(0))
    assert queue.started is not drains
    loop.close()


@pytest.fixture
def collected_quietly() -> Iterator[None]:
    """The tasks that a closed loop leaves are destroyed here, and not in the log of another test."""
    yield
    logging.disable()
    gc.collect()
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("collected_quietly")
@pytest.mark.parametrize("drains", [False, True], ids=["in its body", "while it drains"])
def test_the_owner_of_a_life_that_was_cut_off_cannot_leave_the_next__fault_57(
    drains: bool,
) -> None:
    """The garbage collector closes that owner's coroutine: a later life goes on all the same."""
    queue = AsyncioJobQueue(handlers, PATIENT)
    begin_and_close_the_loop(queue, drains=drains)

    async def live_again() -> tuple[bool, JobStatus, Any]:
        async with queue:
            queue.app = asyncio.Event()
            job_id = await queue.submit("hold")
            await until_running(queue, job_id)
            gc.collect()
            found = queue.started, await queue.get_status(job_id)
            queue.app.set()
            return *found, (await queue.wait(job_id)).result

    assert asyncio.run(live_again()) == (True, JobStatus.RUNNING, "held")


@pytest.mark.usefixtures("collected_quietly")
@pytest.mark.parametrize("job_type", ["hold", "holds_a_list"])
def test_a_ctrl_c_leaves_no_completed_job_without_its_result__fault_57(
    job_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until all of its record is written, a job is not finished, and fails with its queue."""
    ids, interrupts = list[str](), [KeyboardInterrupt]

    def interrupted(job: Any, to: JobStatus) -> None:
        if interrupts and to is JobStatus.COMPLETED:
            raise interrupts.pop()
        transition(job, to)

    monkeypatch.setattr(job_index, "transition", interrupted)
    queue = AsyncioJobQueue(handlers, AT_ONCE)

    async def live() -> None:
        async with queue:
            queue.app = asyncio.Event()
            queue.app.set()
            ids.append(await queue.submit(job_type))
            await queue.wait(ids[0])

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(live())
    assert not interrupts
    record = asyncio.run(queue.get_result(ids[0]))
    assert (record.status, record.result) == (JobStatus.FAILED, None)
    assert record.error_type == "KeyboardInterrupt"


def returns(ctx: JobContext) -> str:
    return "value"


def raises(ctx: JobContext) -> None:
    raise ValueError("no")


def reports(ctx: JobContext) -> None:
    ctx.set_progress(0.5)


def looks(ctx: JobContext) -> None:
    while not ctx.cancelled:
        threading.Event().wait(0.001)


async def raises_later(ctx: JobContext) -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


async def waits(ctx: JobContext) -> None:
    await asyncio.Event().wait()


def next_in_thread(ctx: JobContext) -> None:
    """Called in the thread of the job before, which has let go of that by now."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Nothing is collected in here, and no log keeps an error."""
    logging.disable()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("function", [returns, raises, raises_later, reports, looks, waits])
def test_a_finished_job_leaves_nothing_to_the_garbage_collector(
    function: Callable[[JobContext], Any],
) -> None:
    """However it finished: what its handler had goes at once, not when something is collected."""
    own = JobHandlers()
    own.register("job", function)
    own.register("next", next_in_thread)
    told_to_stop = function in (looks, waits)

    async def live() -> int:
        async with AsyncioJobQueue(own, JobQueueSettings(loop_block_limit=0)) as queue:
            job_id = await queue.submit("job")
            await until_running(queue, job_id)
            await asyncio.sleep(0)
            if told_to_stop:
                await queue.cancel(job_id)
            await queue.wait(job_id)
            await queue.wait(await queue.submit("next"))
            # Not isinstance(): other tests have objects whose __class__ raises.
            runs = [each for each in gc.get_objects() if issubclass(type(each), JobRun)]
            return sum(run.definition.function is function for run in runs)

    with no_garbage():
        assert asyncio.run(live()) == 0
