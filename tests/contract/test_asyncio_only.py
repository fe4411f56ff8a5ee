"""What the `asyncio` backend does and no other."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import random
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobContext, JobQueueSettings, JobStatus
from stoat_jobs.testing import Bench, FakeClockLoop

from ..support import SAFETY_NET
from ..support.listening import listening


@asynccontextmanager
async def asyncio_bench(**settings: Any) -> AsyncIterator[Bench]:
    bench = new_bench(**settings)
    async with bench:
        yield bench


def new_bench(**settings: Any) -> Bench:
    bench = Bench()
    settings = {"loop_block_limit": 0, **settings}
    bench.queue = AsyncioJobQueue(bench.handlers, JobQueueSettings.model_validate(settings))
    return bench


async def test_a_submit_before_the_start_is_kept_and_warns_once__fault_21() -> None:
    """A job submitted too early waits for the start, and one warning says how to start."""
    bench = new_bench()
    with pytest.warns(RuntimeWarning, match="async with queue") as caught:
        ids = [await bench.queue.submit("hold", {}) for _ in range(3)]
    assert len(caught) == 1
    assert str(caught[0].message) == (
        "a job was submitted to a queue that has not been started, and waits until it is: run the"
        " app's lifespan (with a TestClient: `with TestClient(app) as client:`) or enter the queue"
        " with `async with queue:`"
    )
    assert caught[0].filename == __file__
    assert await bench.status(ids[0]) is JobStatus.PENDING
    async with bench:
        for job_id in ids:
            record = await bench.finish(await bench.call(job_id), "done")
            assert record.result == "done"
    assert [call.job_id for call in bench.calls] == ids


async def test_the_warning_shows_the_line_that_submitted__fault_21() -> None:
    """Through a job type too, the warning points at the caller's code and not at ours."""
    bench = new_bench()
    job_type = bench.handlers.get("hold")
    with pytest.warns(RuntimeWarning) as caught:
        ref = await job_type.submit(bench.queue)
    assert caught[0].filename == __file__
    async with bench:
        await bench.finish(await bench.call(ref.job_id))


async def test_a_job_submitted_before_the_start_may_be_cancelled_before_it() -> None:
    """What waits for the start can be taken back."""
    bench = new_bench()
    with pytest.warns(RuntimeWarning):
        job_id = await bench.queue.submit("hold", {})
    assert await bench.queue.cancel(job_id) is True
    async with bench:
        assert await bench.status(job_id) is JobStatus.CANCELLED
        assert bench.calls == []


async def test_who_waits_before_the_start_is_woken_at_the_end() -> None:
    """A wait that began before the start is no different from any other."""
    bench = new_bench()
    with pytest.warns(RuntimeWarning):
        job_id = await bench.queue.submit("hold", {})
    wait = asyncio.ensure_future(bench.queue.wait(job_id))
    watch = bench.watching(job_id)
    await bench.clock.settle()
    async with bench:
        await bench.finish(await bench.call(job_id), 1)
        assert (await wait).result == 1
        assert [record.status for record in await watch.all()][0] is JobStatus.PENDING


async def test_a_result_of_another_type_than_declared_is_kept_as_it_is() -> None:
    """This backend gives back what the handler returned, whatever it had declared."""
    async with asyncio_bench() as bench:

        @bench.handlers.job
        async def promised(ctx: JobContext) -> int:
            return {1, 2}  # type: ignore[return-value]

        assert (await bench.run("promised")).result == {1, 2}


async def test_sync_handlers_run_side_by_side_in_daemon_threads_of_their_own() -> None:
    """With several slots, sync handlers run at the same time, in threads that nobody joins."""
    async with asyncio_bench(concurrency=2) as bench:
        meeting = threading.Barrier(2)

        @bench.handlers.job
        def meet(ctx: JobContext) -> tuple[int, bool]:
            meeting.wait(SAFETY_NET)
            return threading.get_ident(), threading.current_thread().daemon

        ids = [await bench.put("meet"), await bench.put("meet")]
        results: list[Any] = [(await bench.queue.wait(job_id)).result for job_id in ids]
        assert len({thread for thread, _ in results if thread != threading.get_ident()}) == 2
        assert all(daemon for _, daemon in results)


async def test_a_long_row_of_short_jobs_does_not_recurse() -> None:
    """A slot that is handed on thousands of times at once overflows no stack."""
    async with asyncio_bench() as bench:
        blocker = await bench.begin()
        ids = [await bench.queue.submit("hold", {}) for _ in range(3000)]
        bench.open_gates()
        await bench.finish(blocker)
        last = await bench.queue.wait(ids[-1])
        assert last.status is JobStatus.COMPLETED
        stats = await bench.queue.stats()
        assert stats.by_status[JobStatus.COMPLETED] == 3001


async def test_the_coroutine_that_blocks_the_loop_is_named_in_the_log__fault_37() -> None:
    """An async handler that holds the event loop is found by its job type, while it does."""
    named = threading.Event()
    lines: list[Any] = []
    threads: list[threading.Thread] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # A slow machine may hold the loop by itself for as long.
            if record.getMessage() == "loop_blocked" and record.job_type == "blocking":  # type: ignore[attr-defined]
                lines.append(record)
                threads.append(threading.current_thread())
                named.set()

    with listening(Listener()):
        async with asyncio_bench(loop_block_limit=0.1) as bench:

            @bench.handlers.job
            async def blocking(ctx: JobContext) -> bool:
                return named.wait(SAFETY_NET)

            job_id = await bench.queue.submit("blocking")
            assert (await bench.queue.wait(job_id)).result is True
    line = lines[0]
    assert (line.levelname, line.job_type, line.job_id) == ("WARNING", "blocking", job_id)
    assert line.where.rpartition(":")[0] in (__file__, threading.__file__)
    assert 0 < line.duration_s < SAFETY_NET
    assert (threads[0].name, threads[0].daemon) == ("stoat-jobs watchdog", True)


async def delays_of(retries: int) -> list[float]:
    """Seconds between the attempts of a job that fails each time."""
    starts: list[float] = []
    async with asyncio_bench(timeout=math.inf) as bench:

        async def failing(ctx: JobContext) -> None:
            starts.append(bench.clock.time())
            raise ValueError

        bench.handlers.register("failing", failing, retries=retries)
        await bench.clock.drive(bench.queue.wait(await bench.put("failing")))
    return [after - before for before, after in zip(starts, starts[1:])]


async def test_a_retry_comes_after_its_own_limit_at_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drawn as late as can be, the delays are 1, 2, 4 seconds, and so on to 60."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    assert await delays_of(retries=8) == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_retry_comes_at_once_at_the_earliest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn as early as can be there is no delay, however many attempts there were."""
    monkeypatch.setattr(random, "random", lambda: 1.0)
    assert await delays_of(retries=1100) == [0] * 1100


def test_a_late_thread_does_not_hurt_a_closed_loop() -> None:
    """A thread that ends after its event loop is gone raises nowhere."""
    gate, begun, threads = threading.Event(), threading.Event(), []

    def late(ctx: JobContext) -> None:
        threads.append(threading.current_thread())
        begun.set()
        gate.wait(SAFETY_NET)
        ctx.set_progress(1.0)

    async def main() -> AsyncioJobQueue:
        settings = JobQueueSettings(drain_timeout=0, cancel_grace=0)
        queue = AsyncioJobQueue(settings=settings)
        queue.handlers.register("late", late)
        async with queue:
            await queue.submit("late")
            assert await asyncio.to_thread(begun.wait, SAFETY_NET)
        return queue

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        queue = asyncio.run(main())
        gate.set()
        for thread in threads:
            thread.join(SAFETY_NET)
    assert asyncio.run(queue.stats()).abandoned == 0


@pytest.mark.parametrize("job_type", ["hold", "work"])
@pytest.mark.parametrize("first", ["jobs", "queue", "queue, long before"])
async def test_everything_cancelled_at_once_is_a_shutdown__fault_26(
    job_type: str, first: str
) -> None:
    """Jobs that ``asyncio.run`` cancels at its end, with the queue, were stopped by the shutdown."""
    bench = new_bench(concurrency=3, drain_timeout=60)
    await bench.open()
    others = asyncio.all_tasks()
    ids = [await bench.put(job_type) for _ in range(4)]
    for job_id in ids[:3]:
        await bench.call(job_id)  # a thread may be slow to begin
    jobs = asyncio.all_tasks() - others
    held = asyncio.Event()
    queue = asyncio.create_task(leave_after(bench, held))
    await asyncio.sleep(0)
    if first == "queue, long before":
        held.set()
        await bench.clock.settle()
    for task in [*jobs, queue] if first == "jobs" else [queue, *jobs]:
        task.cancel()
    await bench.clock.drive(asyncio.gather(queue, return_exceptions=True))
    records = [await bench.queue.get_result(job_id) for job_id in ids]
    assert {(each.status, each.error_type) for each in records} == {
        (JobStatus.CANCELLED, "Shutdown")
    }
    assert len(bench.calls) == 3
    bench.open_gates()


async def leave_after(bench: Bench, held: asyncio.Event) -> None:
    """What a server's task does with a queue: hold it, and leave it, whatever comes."""
    try:
        await held.wait()
    finally:
        await bench.queue.__aexit__(None, None, None)


def test_a_loop_that_is_closed_under_the_queue_raises_nowhere() -> None:
    """The jobs of a queue that nobody left, in a loop that was closed, go without a word of ours."""
    loop = FakeClockLoop()
    loop.run_until_complete(begin_two())
    loop.close()
    del loop
    problems: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", problems.append)
        assert gc.collect() > 0  # closes the coroutine of the job that ran
    assert problems == []


async def begin_two() -> None:
    bench = new_bench()
    await bench.open()
    await bench.begin()
    await bench.put()


if sys.version_info >= (3, 12):

    async def test_an_eager_task_factory_changes_nothing() -> None:
        """A loop that starts tasks at once does not run handlers inside ``submit``."""
        async with asyncio_bench() as bench:
            bench.clock.set_task_factory(asyncio.eager_task_factory)
            job_id = await bench.queue.submit("hold", {})
            assert bench.calls == []
            assert (await bench.finish(await bench.call(job_id), 1)).result == 1
            pending = [await bench.queue.submit("hold", {}) for _ in range(3)]
            bench.open_gates()
            records = [await bench.queue.wait(each) for each in pending]
            assert {record.status for record in records} == {JobStatus.COMPLETED}
