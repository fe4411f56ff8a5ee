"""Promises about waiting for a job and watching it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from stoat_jobs import (
    JobStatus,
)

from ._bench import Bench
from ._promises import Promises


class WatchingPromises(Promises):
    """Everyone who waits or watches is told when the job finishes, and leaving costs nothing."""

    async def test_wait_gives_the_terminal_record(self) -> None:
        """``wait`` returns the terminal record, which every read shows by then."""
        async with self.bench() as bench:
            call = await bench.begin()
            waits = [asyncio.ensure_future(bench.queue.wait(call.job_id)) for _ in range(3)]
            await bench.clock.settle()
            assert not any(wait.done() for wait in waits)
            call.finish(1)
            await bench.clock.settle()
            assert all(wait.done() for wait in waits), "a waiter was not woken"
            assert [wait.result().result for wait in waits] == [1, 1, 1]

    async def test_wait_on_a_finished_job_returns_at_once__fault_39(self) -> None:
        """``wait`` for a finished job takes no time."""
        async with self.bench() as bench:
            done = await bench.finish(await bench.begin())
            again = asyncio.ensure_future(bench.queue.wait(done.job_id, timeout=5))
            await bench.clock.settle()
            assert again.result() == done

    async def test_wait_raises_the_built_in_timeout_error(self) -> None:
        """A wait may time out, which does not affect the job or later waits."""
        async with self.bench() as bench:
            call = await bench.begin()
            wait = asyncio.ensure_future(bench.queue.wait(call.job_id, timeout=5))
            await bench.clock.advance(4.9)
            assert not wait.done()
            await bench.clock.advance(0.2)
            with pytest.raises(TimeoutError, match=f"job {call.job_id} is running after 5 s"):
                await wait
            with pytest.raises(TimeoutError):
                await bench.queue.wait(call.job_id, timeout=0)
            assert (await bench.finish(call, 1)).result == 1

    @pytest.mark.parametrize("timeout", [-1, float("nan")])
    async def test_a_wait_of_less_than_no_time_is_refused(self, timeout: float) -> None:
        """A negative or NaN limit of a wait is an error."""
        async with self.bench() as bench:
            call = await bench.begin()
            with pytest.raises(ValueError, match="timeout must be 0 or more seconds, not"):
                await bench.queue.wait(call.job_id, timeout=timeout)

    async def test_a_wait_that_is_cancelled_leaves_the_job_alone(self) -> None:
        """A client that leaves stops its wait, not the job."""
        async with self.bench() as bench:
            call = await bench.begin()
            wait = asyncio.ensure_future(bench.queue.wait(call.job_id))
            await bench.clock.settle()
            wait.cancel()
            await bench.clock.settle()
            assert wait.cancelled()
            assert (await bench.finish(call, 1)).status is JobStatus.COMPLETED

    async def test_a_finish_between_read_and_subscribe_is_never_missed__fault_39(self) -> None:
        """A wait or a watch that begins just as the job finishes ends."""
        async with self.bench() as bench:
            for ticks in range(5):
                call = await bench.begin()
                call.finish()
                for _ in range(ticks):
                    await asyncio.sleep(0)
                wait = asyncio.ensure_future(bench.queue.wait(call.job_id))
                watch = bench.watching(call.job_id)
                await bench.clock.settle()
                assert wait.result().status is JobStatus.COMPLETED
                assert (watch.over, watch.statuses[-1]) == (True, JobStatus.COMPLETED)

    async def test_a_woken_waiter_reads_the_state_that_woke_it__fault_39(self) -> None:
        """When ``wait`` returns, every other read already says that the job has finished."""
        async with self.bench() as bench:
            call = await bench.begin()
            seen: list[Any] = []

            async def reader() -> None:
                record = await bench.queue.wait(call.job_id)
                stats = await bench.queue.stats()
                seen.extend([record, await bench.queue.get_result(call.job_id)])
                seen.append(stats.by_status[JobStatus.RUNNING])

            reading = asyncio.ensure_future(reader())
            await bench.clock.settle()
            call.finish(1)
            await reading
            assert seen[0] == seen[1]
            assert (seen[0].status, seen[2]) == (JobStatus.COMPLETED, 0)

    async def test_watch_shows_the_present_then_changes_up_to_the_end(self) -> None:
        """``watch`` yields the current record, each change and the terminal record, then ends."""
        async with self.bench() as bench:
            blocker = await bench.begin()
            job_id = await bench.put()
            watch = bench.watching(job_id)
            await bench.clock.settle()
            assert watch.statuses == [JobStatus.PENDING]
            await bench.finish(blocker)
            call = await bench.call(job_id)
            await bench.clock.settle()
            call.ctx.set_progress(0.5)
            await bench.clock.settle()
            call.finish()
            records = await watch.all()
            assert [(record.status, record.progress) for record in records] == [
                (JobStatus.PENDING, None),
                (JobStatus.RUNNING, None),
                (JobStatus.RUNNING, 0.5),
                (JobStatus.COMPLETED, 0.5),
            ]

    async def test_watch_on_a_finished_job_shows_its_last_record_once(self) -> None:
        """``watch`` of a finished job yields one record and ends."""
        async with self.bench() as bench:
            done = await bench.finish(await bench.begin())
            assert [record async for record in bench.queue.watch(done.job_id)] == [done]

    async def test_a_slow_watcher_skips_records_but_never_the_last(self) -> None:
        """A slow watcher gets the current record, not a backlog."""
        async with self.bench() as bench:
            call = await bench.begin()
            watch = bench.queue.watch(call.job_id)
            assert (await watch.__anext__()).status is JobStatus.RUNNING
            for step in range(1, 100):
                call.ctx.set_progress(step / 100)
            assert (await watch.__anext__()).progress == 0.99
            call.ctx.set_progress(1.0)
            await bench.finish(call, 1)
            assert [record.result async for record in watch] == [1]

    async def test_a_request_to_stop_is_shown_to_watchers(self) -> None:
        """A watcher is told of a cancel while the job is still running."""
        async with self.bench() as bench:
            call = await bench.begin("deaf")
            watch = bench.watching(call.job_id)
            await bench.clock.settle()
            await bench.queue.cancel(call.job_id)
            await bench.clock.settle()
            last = watch.seen[-1]
            assert (last.status, last.cancel_requested) == (JobStatus.RUNNING, True)

    async def test_watchers_that_walked_away_leave_nothing__fault_32(self) -> None:
        """10,000 clients that waited and left use no memory."""
        async with self.bench() as bench:
            call = await bench.begin()
            number, few = (150, 750) if bench.capabilities.cross_process else (1000, 1000)
            await self._walk_away(bench, call.job_id, number)  # what is made once is made now
            before = self._objects()
            for _ in range(10):
                await self._walk_away(bench, call.job_id, number)
            assert self._objects() - before < few
            assert (await bench.finish(call)).status is JobStatus.COMPLETED

    async def _walk_away(self, bench: Bench, job_id: str, number: int) -> None:
        tasks = []
        for _ in range(number):
            watch = bench.queue.watch(job_id)
            await watch.__anext__()
            tasks.append(asyncio.ensure_future(watch.__anext__()))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bench.clock.settle()

    def _objects(self) -> int:
        gc.collect()
        return len(gc.get_objects())
