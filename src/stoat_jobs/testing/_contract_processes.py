"""Promises about several queues that use one store at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stoat_jobs import BackendError, JobNotFoundError, JobStatus, KeyConflictError

from ._bench import Bench
from ._contract_again import Removals
from ._promises import Promises, needs, unless


class Pair:
    """Two queues on one store."""

    def __init__(self, *benches: Bench) -> None:
        self.benches = benches

    async def running(self, job_id: str) -> tuple[Bench, Bench]:
        """Wait until the job runs; returns the bench whose queue runs it, and the other one."""
        calls = [asyncio.ensure_future(bench.call(job_id)) for bench in self.benches]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        first, second = self.benches
        here, there = (first, second) if calls[0].done() else (second, first)
        for call in calls:
            call.cancel()
        return here, there

    async def until(self, reached: Callable[[], bool]) -> None:
        """Let time pass until *reached* is true; a minute is enough for any engine."""
        for _ in range(60):
            if reached():
                return
            await self.benches[0].clock.advance(1)
        pytest.fail("the other queue never heard of it")


class ProcessPromises(Promises):
    """Several queues on one store share its jobs and behave like one queue."""

    @asynccontextmanager
    async def pair(self, observers: Iterable[Any] = (), **settings: Any) -> AsyncIterator[Pair]:
        async with (
            self.bench(observers, **settings) as first,
            self.bench(observers, **settings) as second,
        ):
            yield Pair(first, second)

    @needs("cross_process")
    async def test_what_one_queue_accepts_every_queue_knows__fault_42(self) -> None:
        """Every queue can read and list the jobs of all queues."""
        async with self.pair() as pair:
            first, second = pair.benches
            job_id = await first.put("hold", {"n": 1}, metadata={"by": "Ada"})
            here, _ = await pair.running(job_id)
            record = await here.queue.get_result(job_id)
            assert (record.status, record.metadata) == (JobStatus.RUNNING, {"by": "Ada"})
            for bench in (first, second):
                assert await bench.queue.get_result(job_id) == record
                assert await bench.queue.get_status(job_id) is JobStatus.RUNNING
                assert await bench.queue.list_jobs() == [record]

    @needs("cross_process")
    async def test_the_end_of_a_job_is_told_in_every_queue__fault_39(self) -> None:
        """``wait`` and ``watch`` end with the job in every queue, whichever queue runs it."""
        async with self.pair() as pair:
            job_id = await pair.benches[0].put()
            here, there = await pair.running(job_id)
            waits = [asyncio.ensure_future(bench.queue.wait(job_id)) for bench in pair.benches]
            watching = there.watching(job_id)
            await pair.until(lambda: bool(watching.seen))
            (await here.call(job_id)).finish("told")
            records = await asyncio.gather(*waits)
            assert [record.result for record in records] == ["told", "told"]
            assert (await watching.all())[-1] == records[0] == records[1]

    @needs("cross_process")
    async def test_a_cancel_reaches_a_job_that_another_queue_runs__fault_10(self) -> None:
        """``cancel`` works in every queue: true means that the job ends as ``cancelled``."""
        async with self.pair() as pair:
            job_id = await pair.benches[0].put()
            here, there = await pair.running(job_id)
            call = await here.call(job_id)
            assert await there.queue.cancel(job_id) is True
            record = await there.queue.wait(job_id)
            assert (record.status, record.cancel_requested) == (JobStatus.CANCELLED, True)
            assert call.cancels == 1
            assert await here.queue.cancel(job_id) is False

    @needs("cross_process")
    async def test_a_waiting_job_is_cancelled_from_any_queue__fault_9(self) -> None:
        """A pending job that any queue cancels starts in no queue."""
        async with self.pair(concurrency=1) as pair:
            first, second = pair.benches
            for job_id in [await first.put(), await first.put()]:
                await pair.running(job_id)
            waiting = await first.put()
            assert await second.queue.cancel(waiting) is True
            assert (await first.queue.wait(waiting)).status is JobStatus.CANCELLED
            for bench in pair.benches:
                await bench.finish(bench.calls[0])
            later = await first.put()
            await pair.running(later)
            assert not any(bench.calls_of(waiting) for bench in pair.benches)

    @needs("cross_process")
    async def test_a_key_holds_in_every_queue(self) -> None:
        """A key is unique among the live jobs of all queues, and released for all of them."""
        async with self.pair() as pair:
            first, second = pair.benches
            job_id = await first.put(key="k")
            assert await second.queue.submit("hold", {}, key="k") == job_id
            here, _ = await pair.running(job_id)
            await here.finish(await here.call(job_id))
            await second.queue.wait(job_id)
            assert await second.queue.submit("hold", {}, key="k") != job_id

    @needs("cross_process")
    async def test_each_job_runs_in_one_queue_alone__fault_44(self) -> None:
        """However many queues look for work, each job runs once and finishes once."""
        async with self.pair(concurrency=3) as pair:
            for bench in pair.benches:
                bench.open_gates()
            jobs = [await pair.benches[number % 2].put() for number in range(40)]
            records = [await pair.benches[0].queue.wait(job_id) for job_id in jobs]
            assert {record.status for record in records} == {JobStatus.COMPLETED}
            called = [call.job_id for bench in pair.benches for call in bench.calls]
            assert sorted(called) == sorted(jobs)

    @needs("cross_process")
    async def test_a_free_slot_anywhere_takes_what_waits(self) -> None:
        """A job that finds no free slot in its own queue runs in another, with its payload."""
        async with self.pair(concurrency=1) as pair:
            first, second = pair.benches
            jobs = [await first.put("hold", {"n": n}) for n in range(3)]
            runners = [(await pair.running(job_id))[0] for job_id in jobs[:2]]
            assert runners in ([first, second], [second, first])
            assert [bench.calls[0].payload for bench in runners] == [{"n": 0}, {"n": 1}]
            assert await first.status(jobs[2]) is JobStatus.PENDING
            used = [(await bench.queue.stats()).slots_in_use for bench in pair.benches]
            assert used == [1, 1]

    @needs("cross_process")
    async def test_a_queue_that_stops_leaves_the_jobs_of_the_others_alone__fault_19(self) -> None:
        """The shutdown of one queue stops the jobs that it runs, or gives them to others."""
        async with self.pair(concurrency=1, drain_timeout=0) as pair:
            first = pair.benches[0]
            held = [await first.put(), await first.put()]
            here, there = await pair.running(held[0])
            waiting = await first.put()
            await here.close()
            goes_on = there.capabilities.requeues_at_shutdown
            if goes_on:
                assert await there.status(held[0]) is JobStatus.PENDING
            else:
                assert (await there.queue.wait(held[0])).error_type == "Shutdown"
            assert await there.status(held[1]) is JobStatus.RUNNING
            assert (await there.finish(await there.call(held[1]), 1)).result == 1
            if goes_on:
                assert (await there.finish(await there.call(held[0]), 0)).result == 0
            assert (await there.finish(await there.call(waiting), 2)).result == 2

    # What completes the contract.

    @needs("cross_process")
    async def test_pages_lead_through_the_jobs_of_all_queues(self) -> None:
        """Any queue lists what others accepted, and the cursors of one are good in another."""
        async with self.pair(concurrency=5) as pair:
            first, second = pair.benches
            many = await first.queue.submit_many("hold", [{"n": n} for n in range(3)])
            ids = [*many, await second.put(), await first.put()]
            for job_id in ids:
                await pair.running(job_id)
            top = await second.queue.list_jobs(limit=2)
            rest = await first.queue.list_jobs(limit=4, before=top.cursor)
            assert [record.job_id for record in (*top, *rest)] == ids[::-1]
            assert rest.cursor is None

    @needs("cross_process")
    async def test_a_record_is_deleted_from_any_queue(self) -> None:
        """What one queue deletes is gone for all; what runs elsewhere is live, and stays."""
        async with self.pair() as pair:
            job_id = await pair.benches[0].put()
            here, there = await pair.running(job_id)
            assert await there.queue.delete(job_id) is False
            await here.finish(await here.call(job_id))
            await there.queue.wait(job_id)
            assert await there.queue.delete(job_id) is True
            for bench in pair.benches:
                with pytest.raises(JobNotFoundError):
                    await bench.queue.get_result(job_id)
                assert list(await bench.queue.list_jobs()) == []

    @needs("cross_process")
    async def test_a_finished_job_is_resubmitted_from_any_queue(self) -> None:
        """The payload that a record keeps is there for every queue, whichever accepted the job."""
        async with self.pair() as pair:
            for bench in pair.benches:
                bench.handlers.register("kept", bench.hold, keep_payload=True)
            first, second = pair.benches
            job_id = await first.put("kept", {"n": 1}, metadata={"by": "Ada"})
            here, _ = await pair.running(job_id)
            await here.finish(await here.call(job_id))
            await second.queue.wait(job_id)
            again = await second.queue.resubmit(job_id)
            there, _ = await pair.running(again)
            call = await there.call(again)
            assert call.payload == {"n": 1}
            assert dict(call.ctx.metadata) == {"by": "Ada", "resubmitted_from": job_id}

    @needs("cross_process")
    async def test_cancel_all_reaches_the_jobs_of_every_queue(self) -> None:
        """What runs anywhere is stopped and what waits starts nowhere, whichever queue is asked."""
        async with self.pair(concurrency=1) as pair:
            first, second = pair.benches
            ids = [await first.put(), await second.put(), await first.put(), await second.put()]
            for job_id in ids[:2]:
                await pair.running(job_id)
            assert await second.queue.cancel_all() == 4
            for job_id in ids:
                assert (await first.queue.wait(job_id)).status is JobStatus.CANCELLED
            called = [call.job_id for bench in pair.benches for call in bench.calls]
            assert sorted(called) == sorted(ids[:2])

    @needs("cross_process", "waits_for_delays", "own_clock")
    async def test_a_delayed_job_runs_in_another_queue_when_it_is_due(self) -> None:
        """The queue that accepted it need not be there: any other starts it, and not before."""
        async with self.pair() as pair:
            first, second = pair.benches
            job_id = await first.put("hold", {"n": 1}, delay=20)
            await first.close()
            await second.clock.advance(19)
            assert await second.status(job_id) is JobStatus.PENDING
            await pair.until(lambda: bool(second.calls_of(job_id)))
            call = await second.call(job_id)
            assert call.payload == {"n": 1}
            record = await second.finish(call)
            assert record.not_before is not None
            assert record.started_at is not None
            assert record.started_at >= record.not_before > record.submitted_at

    @needs("cross_process")
    async def test_a_kept_key_is_held_in_every_queue(self) -> None:
        """Each queue gives the job of the first submit and refuses another payload."""
        async with self.pair() as pair:
            first, second = pair.benches
            job_id = await first.put("hold", {"n": 1}, key="k", unique="kept")
            here, _ = await pair.running(job_id)
            await here.finish(await here.call(job_id))
            for bench in (second, first):
                await bench.queue.wait(job_id)
                assert await bench.put("hold", {"n": 1}, key="k", unique="kept") == job_id
                with pytest.raises(KeyConflictError) as conflict:
                    await bench.queue.submit("hold", {"n": 2}, key="k", unique="kept")
                assert conflict.value.job_id == job_id
            assert await second.queue.delete(job_id) is True
            assert await first.put("hold", {"n": 2}, key="k", unique="kept") != job_id

    @needs("cross_process")
    async def test_each_queue_runs_as_many_of_a_type_as_one_may(self) -> None:
        """The limit of a job type is for one process: two queues run twice as many."""
        async with self.pair(concurrency=3) as pair:
            for bench in pair.benches:
                bench.handlers.register("gpu", bench.hold, concurrency=1)
            first, second = pair.benches
            ids = [await first.put("gpu") for _ in range(3)]
            runners = [(await pair.running(job_id))[0] for job_id in ids[:2]]
            assert runners in ([first, second], [second, first])
            assert await second.status(ids[2]) is JobStatus.PENDING
            await runners[0].finish(await runners[0].call(ids[0]))
            assert (await pair.running(ids[2]))[0] is runners[0]

    @needs("cross_process")
    async def test_what_a_handler_updates_is_seen_in_every_queue(self) -> None:
        """Metadata that a running handler updates is on the record that others read and watch."""
        async with self.pair() as pair:
            job_id = await pair.benches[0].put(metadata={"by": "Ada"})
            here, there = await pair.running(job_id)
            watching = there.watching(job_id)
            await pair.until(lambda: bool(watching.seen))
            call = await here.call(job_id)
            call.ctx.update_metadata(pages=3)
            expected = {"by": "Ada", "pages": 3}
            await pair.until(lambda: watching.seen[-1].metadata == expected)
            assert (await there.queue.get_result(job_id)).metadata == expected
            assert len(await there.queue.list_jobs(metadata={"pages": 3})) == 1
            assert (await here.finish(call)).metadata == expected
            assert (await watching.all())[-1].metadata == expected

    @needs("cross_process")
    async def test_one_queue_tells_that_a_record_is_gone(self) -> None:
        """Of all observers of all queues, those of one are told of each record that goes."""
        seen = Removals()
        async with self.pair([seen], max_results=1) as pair:
            ids = [await pair.benches[0].put() for _ in range(3)]
            for number, job_id in enumerate(ids):
                here, there = await pair.running(job_id)
                await here.finish(await here.call(job_id))
                await there.queue.wait(job_id)
                if number == 0:
                    assert await there.queue.delete(job_id) is True
            await pair.until(lambda: len(seen.events) > 1)
            for bench in pair.benches:
                assert [each.job_id for each in await bench.queue.list_jobs()] == ids[2:]
            assert seen.reasons == [(ids[0], "deleted"), (ids[1], "number")]

    @needs("durable")
    @unless("cross_process")
    async def test_a_second_queue_on_the_same_store_is_refused__fault_44(self) -> None:
        """If a store cannot be shared, a second queue does not start and affects nothing."""
        async with self.bench() as bench:
            call = await bench.begin()
            second = await self.new_bench()
            with pytest.raises(BackendError, match="cannot start"):
                await second.open()
            assert second.queue.started is False
            assert (await bench.finish(call, 1)).result == 1
            await bench.close()
            await second.open()
            assert await second.status(call.job_id) is JobStatus.COMPLETED
            await second.close()
