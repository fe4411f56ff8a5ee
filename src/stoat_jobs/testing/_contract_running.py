"""Promises about running jobs: what handlers get, their order, and their slots."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from stoat_jobs import (
    JobContext,
    JobFailedError,
    JobRef,
    JobStatus,
    current_job_id,
)

from ._bench import Watching
from ._contract_outcomes import awaiting, outcome_of
from ._promises import Promises, needs

SETTING: contextvars.ContextVar[str] = contextvars.ContextVar("SETTING", default="unset")


class RunningPromises(Promises):
    """A handler knows its job, shares nothing with others, and starts in order."""

    async def test_a_context_says_whose_it_is(self) -> None:
        """A handler's context has its job's id, type, attempt, metadata and queue."""
        async with self.bench() as bench:
            bench.queue.app = app = object()
            call = await bench.begin(metadata={"a": "b"})
            record = await bench.record(call.job_id)
            assert record.status is JobStatus.RUNNING
            assert (call.ctx.job_id, call.ctx.job_type) == (record.job_id, "hold")
            assert (call.ctx.attempt, dict(call.ctx.metadata)) == (0, {"a": "b"})
            assert call.ctx.queue is bench.queue
            assert call.ctx.app is app
            assert call.ctx.cancelled is False
            call.ctx.raise_if_cancelled()

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_the_running_jobs_id_is_in_a_context_variable(self, threaded: bool) -> None:
        """``current_job_id`` is set in handlers and their threads, and only there."""

        def look(ctx: JobContext) -> bool:
            return current_job_id.get() == ctx.job_id

        async with self.bench() as bench:
            record = await outcome_of(bench, look if threaded else awaiting(look))
            assert record.result is True
            assert current_job_id.get() is None

    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_context_variables_do_not_leak_from_job_to_job__fault_38(
        self, threaded: bool
    ) -> None:
        """Context variables that a handler sets are not seen by others or the submitter."""

        def change(ctx: JobContext) -> str:
            before = SETTING.get()
            SETTING.set("changed by a job")
            return before

        async with self.bench() as bench:
            bench.handlers.register("change", change if threaded else awaiting(change))
            results = [(await bench.run("change")).result for _ in range(2)]
            assert results == ["unset", "unset"]
            assert SETTING.get() == "unset"

    @needs("submitter_context")
    @pytest.mark.parametrize("threaded", [False, True], ids=["async", "thread"])
    async def test_the_submitters_context_variables_are_seen__fault_38(
        self, threaded: bool
    ) -> None:
        """A handler sees the context variables of its own submitter, not of another."""

        def look(ctx: JobContext) -> str:
            return SETTING.get()

        async with self.bench() as bench:
            bench.handlers.register("look", look if threaded else awaiting(look))
            seen = []
            for setting in ("first", "second"):
                token = SETTING.set(setting)
                seen.append((await bench.run("look")).result)
                SETTING.reset(token)
            assert [*seen, (await bench.run("look")).result] == ["first", "second", "unset"]

    async def test_a_handle_does_what_the_queue_does(self) -> None:
        """A ``JobRef`` reads its own job from the queue, and its ``value()`` is the result."""
        async with self.bench() as bench:
            call = await bench.begin()
            ref = JobRef[int](bench.queue, call.job_id)
            watch = Watching(ref.watch())
            assert await ref.get_status() is JobStatus.RUNNING
            value = asyncio.ensure_future(ref.value())
            record = await bench.finish(call, 5)
            assert (await ref.get_result(), await ref.wait(), await value) == (record, record, 5)
            assert (await watch.all())[-1] == record
            assert await ref.cancel() is False

    async def test_the_value_of_a_job_that_did_not_complete_is_an_error(self) -> None:
        """``value()`` raises for a job that failed, with its record."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.fail(ValueError("no disk"))
            with pytest.raises(JobFailedError, match="no disk") as caught:
                await JobRef[int](bench.queue, call.job_id).value()
            assert caught.value.record == await bench.record(call.job_id)

    async def test_a_job_type_submits_by_its_own_signature(self) -> None:
        """``JobType.submit`` takes the function's arguments, by position or by name."""
        async with self.bench() as bench:

            @bench.handlers.job(timeout=50)
            async def add(ctx: JobContext, a: int, b: int = 1) -> int:
                return a + b

            refs = [await add.submit(bench.queue, 2), await add.submit(bench.queue, b=3, a=4)]
            assert [await ref.value() for ref in refs] == [3, 7]
            ref = await add.options(metadata={"who": "ada"}).submit(bench.queue, 1)
            assert (await ref.wait()).metadata == {"who": "ada"}

    # Order and slots.

    async def test_jobs_start_in_the_order_of_their_submission(self) -> None:
        """If one submit returned before another began, its job starts first."""
        async with self.bench() as bench:
            ids = [await bench.put() for _ in range(5)]
            for job_id in ids:
                await bench.finish(await bench.call(job_id))
            assert [call.job_id for call in bench.calls] == ids

    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_at_most_concurrency_jobs_run_at_a_time(self, concurrency: int) -> None:
        """Never more than ``concurrency`` jobs run at once, and a free slot is used at once."""
        async with self.bench(concurrency=concurrency) as bench:
            slots = concurrency if bench.capabilities.concurrent else 1
            ids = [await bench.put() for _ in range(6)]
            for done in range(6):
                await bench.clock.settle()
                stats = await bench.queue.stats()
                assert stats.concurrency == slots
                assert stats.by_status[JobStatus.RUNNING] == min(slots, 6 - done)
                assert stats.slots_in_use == min(slots, 6 - done)
                await bench.finish(await bench.call(ids[done]))

    async def test_every_accepted_job_ends_in_one_terminal_status__fault_17(self) -> None:
        """Every accepted job finishes once, even if many are cancelled at every stage."""
        async with self.bench(concurrency=3) as bench:
            ids = [await bench.put() for _ in range(60)]
            for number, job_id in enumerate(ids):
                if number % 3 == 0:
                    await bench.queue.cancel(job_id)
            bench.open_gates()
            records = [await bench.queue.wait(job_id) for job_id in ids]
            ended = [record.status is JobStatus.CANCELLED for record in records]
            assert ended == [number % 3 == 0 for number in range(60)]
            assert all(record.status.is_terminal for record in records)

    async def test_a_blocking_sync_handler_does_not_stop_the_loop__fault_37(self) -> None:
        """While a sync handler blocks, the event loop stays free."""
        async with self.bench() as bench:
            call = await bench.begin("work")
            assert await asyncio.wait_for(asyncio.sleep(0, "served"), 1) == "served"
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            assert (await bench.finish(call, 5)).result == 5

    async def test_each_job_has_a_task_of_its_own__fault_14(self) -> None:
        """No task runs two jobs, so a swallowed cancellation cannot affect the next one."""
        async with self.bench() as bench:
            tasks: list[Any] = []

            @bench.handlers.job
            async def note(ctx: JobContext) -> None:
                tasks.append(asyncio.current_task())

            for _ in range(3):
                await bench.run("note")
            assert len({id(task) for task in tasks}) == 3

    async def test_no_task_of_ours_remains_after_a_job__fault_8(self) -> None:
        """When a job has finished, none of its tasks or timers are left in the event loop."""
        async with self.bench() as bench:
            await bench.finish(await bench.begin())
            await bench.clock.settle()
            before = asyncio.all_tasks()
            for job_type in ("hold", "work", "deaf"):
                await bench.finish(await bench.begin(job_type))
            await bench.clock.settle()
            assert asyncio.all_tasks() == before

    @needs("survives_cancelled_tasks")
    @pytest.mark.parametrize("settled", [False, True], ids=["at once", "running"])
    async def test_a_slot_outlives_its_tasks__fault_22(self, settled: bool) -> None:
        """Cancelling the queue's tasks from outside fails at most their jobs; slots work on."""
        async with self.bench() as bench:
            for _ in range(3):
                bench.submit("hold")
                for _ in range(50 if settled else 1):
                    await asyncio.sleep(0)
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await bench.clock.settle()
                for call in bench.calls:  # of a job that was accepted after that all the same
                    call.finish()
            record = await bench.finish(await bench.begin(), "still here")
            stats = await bench.queue.stats()
            assert (record.result, stats.slots_in_use, stats.abandoned) == ("still here", 0, 0)
            assert all(job.status.is_terminal for job in await bench.queue.list_jobs())
