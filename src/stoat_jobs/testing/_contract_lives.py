"""Promises about starting a queue, reading it after its stop, and starting it again."""

from __future__ import annotations

import asyncio

import pytest

from stoat_jobs import (
    AsyncJobQueue,
    JobBackend,
    JobStatus,
    QueueStartedError,
)

from ._bench import Bench
from ._clock import fake_clock_loop, run_with_fake_clock
from ._promises import Promises, unless


class LifePromises(Promises):
    """A queue starts once, can be read after its shutdown, and can be started again."""

    async def test_started_is_true_from_the_start_to_the_beginning_of_the_stop(self) -> None:
        """``started`` is true from the start until the shutdown begins, and only then."""
        bench = await self.new_bench()
        assert bench.queue.started is False
        async with bench:
            assert bench.queue.started is True
            call = await bench.begin()
            closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
            await bench.clock.settle()
            assert (closing.done(), bench.queue.started) == (False, False)
            await bench.finish(call)
            await closing
        assert bench.queue.started is False

    async def test_it_is_a_job_backend_with_the_handlers_it_was_given(self) -> None:
        """The queue has every method of both protocols, and the registry that was passed in."""
        async with self.bench() as bench:
            assert isinstance(bench.queue, JobBackend)
            assert isinstance(bench.queue, AsyncJobQueue)
            assert bench.queue.handlers is bench.handlers
            assert bench.queue.app is None

    async def test_entering_gives_the_queue_itself(self) -> None:
        """``async with queue`` returns the queue itself."""
        bench = await self.new_bench()
        async with bench.queue as queue:
            assert queue is bench.queue

    async def test_entering_a_started_queue_is_an_error_and_hurts_nothing__fault_27(self) -> None:
        """A second start raises a clear error and does not affect the first one."""
        async with self.bench() as bench:
            call = await bench.begin()
            with pytest.raises(QueueStartedError):
                await bench.queue.__aenter__()
            assert bench.queue.started is True
            assert (await bench.finish(call, 1)).result == 1

    async def test_start_and_stop_may_be_in_different_tasks__fault_27(self) -> None:
        """A queue may be started in one task and stopped in another, as frameworks do."""
        bench = await self.new_bench()
        await asyncio.ensure_future(bench.open())
        call = await bench.begin()
        closing = asyncio.ensure_future(bench.close())
        assert (await bench.finish(call)).status is JobStatus.COMPLETED
        await closing
        assert bench.queue.started is False

    async def test_records_are_read_while_the_queue_is_closed(self) -> None:
        """After the shutdown every read works, and all records are still there."""
        async with self.bench() as bench:
            call = await bench.begin()
            await bench.finish(call, 1)
            await bench.close()
            queue, job_id = bench.queue, call.job_id
            assert await queue.get_status(job_id) is JobStatus.COMPLETED
            assert (await queue.get_result(job_id)).result == 1
            assert (await queue.wait(job_id)).result == 1
            assert [record.result async for record in queue.watch(job_id)] == [1]
            assert [record.job_id for record in await queue.list_jobs()] == [job_id]
            assert (await queue.stats()).by_status[JobStatus.COMPLETED] == 1
            assert await queue.cancel(job_id) is False

    async def test_a_queue_left_cleanly_may_be_entered_again__fault_27(self) -> None:
        """A queue that is started again works as before, and still has the earlier records."""
        async with self.bench() as bench:
            first = await bench.begin()
            await bench.finish(first, 1)
            await bench.close()
            await bench.open()
            second = await bench.begin()
            assert (await bench.finish(second, 2)).result == 2
            assert (await bench.record(first.job_id)).result == 1

    @unless("durable")
    async def test_a_key_does_not_outlive_the_stop(self) -> None:
        """A job that the shutdown stopped does not hold its key after the next start."""
        async with self.bench() as bench:
            ids = [await bench.put(key="a"), await bench.put(key="b")]
            await bench.close()
            await bench.open()
            again = [await bench.put(key="a"), await bench.put(key="b")]
            assert not set(ids) & set(again)

    def test_a_queue_may_be_used_by_two_event_loops_in_turn__fault_27(self) -> None:
        """One queue object can run in one event loop after another, and keeps its records."""
        bench = run_with_fake_clock(self._first_life(), self.loop_factory)
        run_with_fake_clock(self._second_life(bench), self.loop_factory)

    async def _first_life(self) -> Bench:
        bench = await self.new_bench()
        async with bench:
            await bench.finish(await bench.begin(), 1)
            await bench.put("deaf")
        return bench

    async def _second_life(self, old: Bench) -> None:
        first = old.calls[0].job_id
        old.clock = asyncio.get_running_loop()  # type: ignore[assignment]
        old.clock.heed(old.queue)
        assert (await old.queue.get_result(first)).result == 1
        await old.open()
        old.shut_gates()
        call = await old.begin("work")
        watch = old.watching(call.job_id)
        assert (await old.finish(call, 2)).result == 2
        assert (await watch.all())[-1].result == 2
        assert (await old.queue.get_result(first)).finished_at is not None
        await old.close()

    def test_a_queue_that_runs_refuses_another_event_loop__fault_27(self) -> None:
        """Starting a queue in a second event loop while it runs in another is a clear error."""
        with fake_clock_loop(self.loop_factory) as loop:
            bench = loop.run_until_complete(self.new_bench())
            loop.run_until_complete(bench.open())
            with pytest.raises(RuntimeError, match="event loop"):
                run_with_fake_clock(bench.queue.submit("hold", {}), self.loop_factory)
            with pytest.raises(QueueStartedError):
                run_with_fake_clock(bench.queue.__aenter__(), self.loop_factory)
            loop.run_until_complete(bench.close())
