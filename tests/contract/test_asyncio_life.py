"""How a queue in this process starts and stops, to the second, and what it says meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    BackendStartError,
    JobBackend,
    JobContext,
    JobQueueSettings,
    JobStatus,
    QueueStartedError,
)
from stoat_jobs._backends.retention import Retention
from stoat_jobs.testing import Bench


def new_bench(**settings: Any) -> Bench:
    bench = Bench()
    chosen = JobQueueSettings.model_validate({"loop_block_limit": 0, **settings})
    bench.queue = AsyncioJobQueue(bench.handlers, chosen)
    return bench


async def test_a_second_start_is_refused_in_words__fault_27() -> None:
    """The error names the backend, and says what to do instead."""
    async with new_bench() as bench:
        with pytest.raises(QueueStartedError) as caught:
            await bench.queue.__aenter__()
    text = "backend 'asyncio' is started already; start a queue once, and share it"
    assert str(caught.value) == text


async def test_after_a_start_that_failed_nothing_runs__fault_23(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jobs submitted before go on waiting, and run when the queue does start."""
    bench = new_bench()

    def refuse(self: Retention, loop: Any) -> None:
        if loop is not None:
            raise OSError("no clock")

    with monkeypatch.context() as patched:
        patched.setattr(Retention, "expire_on", refuse)
        with pytest.raises(BackendStartError, match="^backend 'asyncio' cannot start: no clock$"):
            await bench.open()
    with pytest.warns(RuntimeWarning):
        job_id = await bench.put()
    assert await bench.status(job_id) is JobStatus.PENDING
    async with bench:
        assert (await bench.finish(await bench.call(job_id), 1)).result == 1


async def test_a_drain_of_less_than_a_second_is_one() -> None:
    """However short ``drain_timeout`` is, what ends within it is finished."""
    bench = new_bench(drain_timeout=0.5)
    await bench.open()
    call = await bench.begin()
    closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
    await bench.clock.advance(0.4)
    call.finish("in time")
    await closing
    assert (await bench.queue.get_result(call.job_id)).result == "in time"


async def test_a_stop_leaves_two_grace_periods_to_a_cooperative_handler() -> None:
    """One from its flag to its cancel, and one from there: work that ends within is kept."""
    bench = new_bench(drain_timeout=0, cancel_grace=10)

    @bench.handlers.job(cooperative=True)
    async def tidy(ctx: JobContext) -> str:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(9.9)
        return "tidied up"

    await bench.open()
    job_id = await bench.put("tidy")
    await bench.close()
    record = await bench.queue.get_result(job_id)
    assert (record.error_type, record.result) == ("Shutdown", "tidied up")


async def outside(method: str, queue: JobBackend) -> str:
    """What is said when *method* is called on another loop, in another thread."""

    def call() -> str:
        with pytest.raises(RuntimeError) as caught:
            asyncio.run(getattr(queue, method)("hold"))
        return str(caught.value)

    return await asyncio.to_thread(call)


async def test_a_foreign_loop_is_told_each_way__fault_40() -> None:
    """A handler, a test client and a fixture have each a remedy of their own, ready to copy."""
    async with new_bench() as bench:
        text = await outside("submit", bench.queue)
    assert text.startswith("submit() was called outside the event loop that runs the queue: ")
    assert "ctx.from_thread(ctx.queue.submit, ...)" in text
    assert "client.portal.call(queue.submit, ...)" in text
    assert "loop_scope" in text


async def test_no_loop_at_all_is_told_two_ways__fault_40() -> None:
    """Where no loop runs there is no fixture to put right."""
    async with new_bench() as bench:

        def call() -> str:
            with pytest.raises(RuntimeError) as caught:
                bench.queue.submit("hold").send(None)
            return str(caught.value)

        text = await asyncio.to_thread(call)
    assert text.endswith(
        "use ctx.from_thread(ctx.queue.submit, ...), beside a TestClient"
        " client.portal.call(queue.submit, ...), in Litestar `with client.portal() as portal:`"
    )


async def test_a_stop_waits_for_the_tasks_that_it_ends__fault_8() -> None:
    """When the stop returns, what it closed has ended too, and not in a moment."""
    bench = new_bench(drain_timeout=0, cancel_grace=0)
    await bench.open()
    await bench.begin("deaf")
    await bench.queue.__aexit__(None, None, None)
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert not [name for name in names if name.startswith("stoat-jobs ")]
    bench.open_gates()
