"""Promises of backends whose jobs outlive the queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from stoat_jobs import JobContext, JobStatus, KeyConflictError, QueueClosedError

from ._promises import Promises, needs, unless


@dataclass
class Point:
    x: int
    y: bytes


def locate(ctx: JobContext, x: int) -> Point:
    return Point(x, b"\xff")


class DurablePromises(Promises):
    """Pending jobs outlive the queue, and the next queue on the same store runs them."""

    @needs("durable")
    async def test_what_waits_runs_in_the_next_life__fault_19(self) -> None:
        """The shutdown leaves jobs pending, and the next start runs them in their order."""
        async with self.bench() as bench:
            call = await bench.begin()
            waiting = [await bench.put() for _ in range(3)]
            await bench.close_after(call)
            statuses = [await bench.queue.get_status(job_id) for job_id in waiting]
            assert statuses == [JobStatus.PENDING] * 3
            await bench.open()
            for job_id in waiting:
                assert (await bench.finish(await bench.call(job_id), "late")).result == "late"
            assert [call.job_id for call in bench.calls[1:]] == waiting

    @needs("durable")
    async def test_who_waits_for_a_job_that_goes_on_is_told__fault_19(self) -> None:
        """``wait`` and ``watch`` of a job that stays pending raise that the queue is closed."""
        async with self.bench() as bench:
            await bench.begin()
            job_id = await bench.put()
            watch = bench.queue.watch(job_id)
            assert (await watch.__anext__()).status is JobStatus.PENDING
            asks = [bench.queue.wait(job_id), watch.__anext__()]
            asked = [asyncio.ensure_future(ask) for ask in asks]
            await bench.clock.settle()
            await bench.close()
            asked.append(asyncio.ensure_future(bench.queue.wait(job_id)))
            errors = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(error) for error in errors] == [QueueClosedError] * 3

    @needs("durable")
    async def test_a_submit_before_the_start_says_how_to_start__fault_21(self) -> None:
        """Submitting to a queue that is not started is an error that names the remedy."""
        bench = await self.new_bench()
        with pytest.raises(RuntimeError, match="async with"):
            await bench.queue.submit("hold", {})
        assert await bench.queue.list_jobs() == []

    @needs("durable")
    async def test_the_next_queue_has_all_of_a_job(self) -> None:
        """Payload, metadata, key and time limit outlive the queue that accepted the job."""
        async with self.bench() as old:
            call = await old.begin()
            job_id = await old.put("hold", {"n": 5}, key="k", metadata={"by": "Ada"}, timeout=7)
            await old.close_after(call)
        async with self.bench() as bench:
            call = await bench.call(job_id)
            assert (call.payload, call.ctx.metadata) == ({"n": 5}, {"by": "Ada"})
            assert await bench.queue.submit("hold", {}, key="k") == job_id
            await bench.clock.advance(8)
            assert await bench.status(job_id) is JobStatus.TIMEOUT

    @needs("durable")
    async def test_the_next_queue_has_the_records_of_the_last(self) -> None:
        """A finished record is the same in the next queue, with a result of the declared type."""
        async with self.bench() as old:
            old.handlers.register("locate", locate)
            await old.run("locate", {"x": 3}, metadata={"by": "Ada"})
            await old.run("locate", {"x": 4})
            before = await old.queue.list_jobs()
            await old.close()
        bench = await self.new_bench()
        bench.handlers.register("locate", locate)
        async with bench:
            assert await bench.queue.list_jobs() == before
            assert before[0].result == Point(4, b"\xff")

    @needs("durable")
    async def test_a_waiting_job_that_was_cancelled_stays_so__fault_9(self) -> None:
        """The next queue does not run jobs that were cancelled before."""
        async with self.bench() as old:
            call = await old.begin()
            job_id = await old.put()
            assert await old.queue.cancel(job_id) is True
            await old.close_after(call)
        async with self.bench() as bench:
            assert await bench.status(job_id) is JobStatus.CANCELLED
            assert bench.calls == []

    @needs("durable")
    async def test_a_job_whose_handler_is_gone_waits(self) -> None:
        """A job of a type that the next queue does not know waits, until a later one knows it."""
        async with self.bench() as old:
            call = await old.begin()
            old.handlers.register("old", locate)
            job_id = await old.put("old", {"x": 1}, metadata={"by": "Ada"})
            await old.close_after(call)
        async with self.bench() as bench:
            assert (await bench.finish(await bench.begin(), 1)).result == 1
            record = await bench.record(job_id)
            assert (record.status, record.metadata) == (JobStatus.PENDING, {"by": "Ada"})
            assert [each.job_id for each in await bench.queue.list_jobs(job_type="old")] == [job_id]
            assert (await bench.queue.stats()).by_status[JobStatus.PENDING] == 1
        bench = await self.new_bench()
        bench.handlers.register("old", locate)
        async with bench:
            assert (await bench.queue.wait(job_id)).result == Point(1, b"\xff")

    @needs("durable")
    async def test_a_job_whose_handler_is_gone_can_be_cancelled(self) -> None:
        """Whoever waits for a job of an unknown type waits on, and a cancel ends it."""
        async with self.bench() as old:
            call = await old.begin()
            old.handlers.register("old", locate)
            job_id = await old.put("old", {"x": 1})
            await old.close_after(call)
        async with self.bench() as bench:
            waiting = asyncio.ensure_future(bench.queue.wait(job_id))
            await bench.clock.settle()
            assert not waiting.done()
            assert await bench.queue.cancel(job_id) is True
            assert (await waiting).status is JobStatus.CANCELLED
            await bench.close()
        bench = await self.new_bench()
        bench.handlers.register("old", locate)
        async with bench:
            assert await bench.status(job_id) is JobStatus.CANCELLED

    @needs("durable")
    @unless("waits_for_newer_code")
    async def test_a_payload_that_fits_no_more_fails(self) -> None:
        """A payload that the next queue's handler refuses fails only that job."""
        async with self.bench() as old:
            call = await old.begin()
            old.handlers.register("changed", locate)
            job_id = await old.put("changed", {"x": 1})
            await old.close_after(call)
        bench = await self.new_bench()

        @bench.handlers.job
        async def changed(ctx: JobContext, name: str) -> None:
            """Takes text; it took a number before."""

        async with bench:
            record = await bench.queue.wait(job_id)
            assert (record.status, record.error_type) == (JobStatus.FAILED, "InvalidPayloadError")

    @needs("own_clock", "waits_for_delays", "durable")
    async def test_a_delayed_job_is_still_delayed_in_the_next_life(self) -> None:
        """The next queue starts it when its delay has passed, counted from its submission."""
        async with self.bench() as old:
            job_id = await old.put(delay=20)
            before = await old.queue.get_result(job_id)
            await old.close()
        async with self.bench() as bench:
            assert await bench.record(job_id) == before
            await bench.clock.advance(15)
            assert await bench.status(job_id) is JobStatus.PENDING
            await bench.clock.advance(6)
            assert await bench.status(job_id) is JobStatus.RUNNING

    @needs("durable")
    async def test_a_kept_key_is_held_in_the_next_life(self) -> None:
        """That of a finished job and of a waiting one, with what they know of the payload."""
        async with self.bench() as old:
            options: dict[str, Any] = {"unique": "kept"}
            done = await old.begin("hold", {"n": 1}, key="done", **options)
            await old.finish(done)
            call = await old.begin()
            waiting = await old.put("hold", {"n": 2}, key="waiting", **options)
            await old.close_after(call)
        async with self.bench() as bench:
            await bench.finish(await bench.call(waiting))
            assert await bench.put("hold", {"n": 1}, key="done", **options) == done.job_id
            assert await bench.put("hold", {"n": 2}, key="waiting") == waiting
            for key in ("done", "waiting"):
                with pytest.raises(KeyConflictError):
                    await bench.queue.submit("hold", {"n": 3}, key=key, **options)

    @needs("durable")
    async def test_a_kept_payload_is_there_in_the_next_life(self) -> None:
        """A finished job can be resubmitted there, and so can one that finishes there."""
        async with self.bench() as old:
            old.handlers.register("kept", old.hold, keep_payload=True)
            done = await old.begin("kept", {"n": 1})
            await old.finish(done)
            call = await old.begin()
            waiting = await old.put("kept", {"n": 2})
            await old.close_after(call)
        bench = await self.new_bench()
        bench.handlers.register("kept", bench.hold, keep_payload=True)
        async with bench:
            await bench.finish(await bench.call(waiting))
            for job_id, payload in ((done.job_id, {"n": 1}), (waiting, {"n": 2})):
                assert (await bench.record(job_id)).payload == payload
                again = await bench.call(await bench.queue.resubmit(job_id))
                assert again.payload == payload
                await bench.finish(again)

    @needs("durable")
    async def test_many_that_were_accepted_at_once_run_in_the_next_life(self) -> None:
        """They are all kept, in their order."""
        async with self.bench(concurrency=1) as old:
            call = await old.begin()
            ids = await old.queue.submit_many("hold", [{"n": each} for each in range(5)])
            await old.close_after(call)
        async with self.bench(concurrency=1) as bench:
            for number, job_id in enumerate(ids):
                call = await bench.call(job_id)
                assert call.payload == {"n": number}
                await bench.finish(call)
            assert [call.job_id for call in bench.calls] == ids
