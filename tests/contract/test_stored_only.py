"""What a queue with a store does when its process dies, its store fails, or its code changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import (
    JobContext,
    JobQueueSettings,
    JobStatus,
    QueueClosedError,
    QueueNotStartedError,
    current_job_id,
)
from stoat_jobs.testing import Bench, run_with_fake_clock

from ..support.stores import TextJobQueue, TextStore


def new_bench(store: TextStore, **settings: Any) -> Bench:
    """A bench whose queue has *store* behind it; not started."""
    bench = Bench()
    chosen = JobQueueSettings.model_validate({"loop_block_limit": 0, **settings})
    bench.queue = TextJobQueue(bench.handlers, chosen, store=store)
    return bench


async def begin_and_die(store: TextStore) -> str:
    """Let a queue begin a job, and its process die; the job's id."""
    bench = new_bench(store)
    await bench.open()
    call = await bench.begin()
    store.lose_owner()
    return call.job_id


async def test_a_job_of_a_process_that_died_runs_again__fault_43(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next start runs it from its beginning, before what was submitted later, and says so."""
    store = TextStore()
    first = await begin_and_die(store)
    caplog.clear()
    async with new_bench(store) as bench:
        call = await bench.call(first)
        assert (await bench.finish(call, "at last")).result == "at last"
    (line,) = (each for each in caplog.records if each.getMessage() == "job_redelivered")
    assert (line.job_id, line.job_type) == (first, "hold")  # type: ignore[attr-defined]


async def test_a_retry_that_the_stop_prevents_is_asked_for_once() -> None:
    """A job that fails while the queue drains is given back, by what retry_on said the only time."""
    store, asked = TextStore(), []
    bench = new_bench(store)

    def retry_on(error: Exception) -> bool:
        asked.append(error)
        return True

    @bench.handlers.job(retries=1, retry_on=retry_on)
    async def failing(ctx: JobContext) -> None:
        await gate
        raise ValueError("again")

    await bench.open()
    gate = asyncio.get_running_loop().create_future()
    job_id = await bench.queue.submit("failing")
    await bench.clock.settle()
    bench.clock.call_soon(gate.set_result, None)
    await bench.close()
    status = json.loads(store.jobs[job_id])["record"]["status"]
    assert (status, len(asked)) == (JobStatus.PENDING, 1)


async def test_a_job_that_runs_again_has_its_updates_of_metadata() -> None:
    """What it found out before its process died is there, and as read-only as ever."""
    store = TextStore()
    bench = new_bench(store)
    await bench.open()
    call = await bench.begin(metadata={"user": {"id": 1}})
    call.ctx.update_metadata(pages=[3])
    await bench.clock.settle()
    store.lose_owner()
    async with new_bench(store) as bench:
        again = await bench.call(call.job_id)
        again.ctx.metadata["pages"].append(4)
        assert dict(again.ctx.metadata) == {"user": {"id": 1}, "pages": [3]}
        again.ctx.update_metadata(more=True)
        expected = {"user": {"id": 1}, "pages": [3], "more": True}
        assert (await bench.finish(again)).metadata == expected


async def test_a_job_that_runs_again_may_be_retried() -> None:
    """Its later attempts get the payload that was submitted, as its first one does."""
    store = TextStore()
    bench = new_bench(store)
    await bench.open()
    call = await bench.begin("retrying", {"n": 7})
    store.lose_owner()
    async with new_bench(store) as bench:
        (await bench.call(call.job_id)).fail(ValueError("try again"))
        await bench.clock.advance(1)
        again = await bench.call_number(1)
        assert (again.ctx.attempt, again.payload) == (1, {"n": 7})
        assert (await bench.finish(again, "at last")).result == "at last"


async def test_a_job_that_takes_its_process_with_it_is_given_up__fault_43() -> None:
    """After three processes that died with it a job is ``WorkerLost``, and the queue lives."""
    store = TextStore()
    job_id = await begin_and_die(store)
    for _ in range(2):
        bench = new_bench(store)
        await bench.open()
        await bench.call(job_id)
        store.lose_owner()
    async with new_bench(store) as bench:
        record = await bench.queue.wait(job_id)
        assert (record.status, record.error_type) == (JobStatus.FAILED, "WorkerLost")
        assert "3 times" in str(record.error)
        assert (await bench.finish(await bench.begin(), 1)).result == 1


async def test_a_cancel_outlives_the_process() -> None:
    """A job that was being stopped when its process died does not run again."""
    store = TextStore()
    bench = new_bench(store, cancel_grace=100)
    await bench.open()
    call = await bench.begin("polite")
    assert await bench.queue.cancel(call.job_id) is True
    store.lose_owner()
    async with new_bench(store) as bench:
        record = await bench.record(call.job_id)
        assert (record.status, record.cancel_requested) == (JobStatus.CANCELLED, True)
        assert bench.calls == []


async def test_what_is_kept_no_more_leaves_the_store__fault_29() -> None:
    """A store holds no more finished records than the queue, also of the life before."""
    store = TextStore()
    for _ in range(2):
        async with new_bench(store, max_results=3) as bench:
            ids = [(await bench.finish(await bench.begin())).job_id for _ in range(5)]
        assert list(store.jobs) == ids[2:]
    async with new_bench(store, max_results=2) as bench:
        assert [job.job_id for job in await bench.queue.list_jobs()] == [ids[4], ids[3]]
        await bench.clock.settle()
        assert list(store.jobs) == ids[3:]


def test_a_store_that_is_closed_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A record that grows too old while the queue is closed leaves the store after its start."""
    run_with_fake_clock(_grow_old_while_closed())
    assert "store_failed" not in caplog.messages


async def _grow_old_while_closed() -> None:
    store = TextStore()
    bench = new_bench(store, result_ttl=10)
    await bench.open()
    job_id = (await bench.finish(await bench.begin())).job_id
    await bench.close()
    await bench.clock.advance(11)
    assert await bench.queue.list_jobs() == []
    assert list(store.jobs) == [job_id]
    async with bench:
        await bench.clock.settle()
        assert store.jobs == {}


async def test_more_may_wait_in_the_store_than_may_be_submitted() -> None:
    """A lower ``max_pending`` drops nothing that was accepted before."""
    store = TextStore()
    bench = new_bench(store)
    await bench.open()
    ids = [await bench.put() for _ in range(5)]
    await bench.close()
    async with new_bench(store, max_pending=2) as again:
        for job_id in ids:
            await again.finish(await again.call(job_id))


async def test_a_closed_queue_cannot_cancel_what_waits() -> None:
    """What is in the store alone is out of reach, and no answer would be true."""
    bench = new_bench(TextStore())
    await bench.open()
    call = await bench.begin()
    job_id = await bench.put()
    closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
    await asyncio.sleep(0)
    with pytest.raises(QueueClosedError):
        await bench.queue.cancel(job_id)
    assert await bench.queue.cancel(call.job_id) is True
    await closing
    with pytest.raises(QueueClosedError):
        await bench.queue.cancel(job_id)


def count(ctx: JobContext) -> int:
    return 5


def count_in_words(ctx: JobContext) -> list[str]:
    return ["five"]


@pytest.mark.parametrize("later", [count_in_words, None])
async def test_a_result_that_fits_no_more_is_read_as_it_is(
    later: Callable[..., Any] | None,
) -> None:
    """A record is readable when its handler returns another type now, or is gone."""
    store = TextStore()
    async with new_bench(store) as bench:
        bench.handlers.register("count", count)
        job_id = (await bench.run("count")).job_id
    async with new_bench(store) as again:
        assert (await again.queue.get_result(job_id)).result == 5
    bench = new_bench(store)
    if later is not None:
        bench.handlers.register("count", later)
    async with bench:
        assert (await bench.queue.get_result(job_id)).result == 5


async def test_the_order_of_the_ends_outlives_the_queue__fault_29() -> None:
    """After a restart too, the record that goes first is that of the job that ended first."""
    store = TextStore()
    async with new_bench(store, concurrency=2) as bench:
        calls = [await bench.begin(), await bench.begin()]
        for call in reversed(calls):
            await bench.finish(call)
        assert [json.loads(text)["payload"] for text in store.jobs.values()] == ["", ""]
    async with new_bench(store, max_results=1) as bench:
        assert [job.job_id for job in await bench.queue.list_jobs()] == [calls[0].job_id]


async def test_a_job_that_runs_again_has_its_id_in_its_context() -> None:
    """The handler's own log lines find the job's id, in another process too."""
    store = TextStore()
    bench = new_bench(store)
    bench.handlers.register("look", look)
    await bench.open()
    call = await bench.begin()
    job_id = await bench.put("look")
    await bench.close_after(call)
    bench = new_bench(store)
    bench.handlers.register("look", look)
    async with bench:
        assert (await bench.queue.wait(job_id)).result == job_id


async def look(ctx: JobContext) -> str | None:
    return current_job_id.get()


async def test_a_submit_before_the_start_names_the_backend__fault_21() -> None:
    """Who forgot the lifespan reads which queue is meant, and what to do."""
    bench = new_bench(TextStore())
    words = (
        "backend 'text' accepts no jobs before its start: run the app's lifespan, or enter the queue"
        " with `async with queue:`$"
    )
    with pytest.raises(QueueNotStartedError, match=words):
        await bench.queue.submit("hold", {})


async def test_the_order_of_submission_outlives_restarts() -> None:
    """Jobs of several lives of a queue start in the order in which they were submitted."""
    store, ids = TextStore(), list[str]()
    for _ in range(2):
        bench = new_bench(store, concurrency=1)
        await bench.open()
        ids += [await bench.put(), await bench.put()]
        store.lose_owner()
    async with new_bench(store, concurrency=1) as bench:
        for job_id in ids:
            await bench.finish(await bench.call(job_id))
        assert [call.job_id for call in bench.calls] == ids
