"""Promises about finished jobs: their records can be deleted, and their work done once more."""

from __future__ import annotations

from typing import Any

import pytest

from stoat_jobs import (
    JobContext,
    JobNotFoundError,
    JobObserver,
    JobStatus,
    PayloadNotKeptError,
    RemovedEvent,
)

from ._bench import Bench
from ._promises import Promises, needs


class Removals(JobObserver):
    """Notes which records went, and why."""

    def __init__(self) -> None:
        self.events: list[RemovedEvent] = []

    def removed(self, event: RemovedEvent) -> None:
        self.events.append(event)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(event.job_id, event.reason) for event in self.events]


def keep(bench: Bench) -> None:
    """Register a handler whose payloads are kept, and one whose are not."""

    async def add(ctx: JobContext, n: int, more: int = 2) -> dict[str, Any]:
        if n < 0:
            raise ValueError("negative")
        return {"sum": n + more, "metadata": dict(ctx.metadata)}

    bench.handlers.register("kept", add, keep_payload=True)
    bench.handlers.register("plain", add)


class AgainPromises(Promises):
    """What can be done with a job that has finished."""

    # Deleting.

    async def test_a_deleted_record_is_gone(self) -> None:
        """Deleting a finished record is True, and nothing finds the job any more."""
        async with self.bench() as bench:
            done = await bench.finish(await bench.begin())
            assert await bench.queue.delete(done.job_id) is True
            for ask in (bench.queue.get_result, bench.queue.cancel, bench.queue.delete):
                with pytest.raises(JobNotFoundError):
                    await ask(done.job_id)
            assert list(await bench.queue.list_jobs()) == []
            assert not any((await bench.queue.stats()).by_status.values())

    async def test_a_live_job_is_not_deleted(self) -> None:
        """Deleting a job that waits or runs is False, and it goes on."""
        async with self.bench(concurrency=1) as bench:
            call = await bench.begin()
            waiting = await bench.put()
            for job_id in (call.job_id, waiting):
                assert await bench.queue.delete(job_id) is False
            assert (await bench.finish(call, 1)).result == 1
            assert (await bench.finish(await bench.call(waiting), 2)).result == 2

    async def test_deleted_records_make_room_for_others(self) -> None:
        """``max_results`` counts the records that are kept, not those that were deleted."""
        async with self.bench(max_results=3) as bench:
            bench.open_gates()
            ids = [await bench.put() for _ in range(3)]
            assert await bench.queue.delete(ids[1]) is True
            ids.append(await bench.put())
            await bench.pruned()
            kept = [record.job_id for record in await bench.queue.list_jobs()]
            assert kept == [ids[3], ids[2], ids[0]]
            ids.append(await bench.put())
            await bench.pruned()
            kept = [record.job_id for record in await bench.queue.list_jobs()]
            assert kept == [ids[4], ids[3], ids[2]]

    async def test_who_reads_a_job_that_is_deleted_has_read_it(self) -> None:
        """A watch that has begun shows the terminal record, though it is deleted meanwhile."""
        async with self.bench() as bench:
            call = await bench.begin()
            watch = bench.queue.watch(call.job_id)
            assert (await watch.__anext__()).status is JobStatus.RUNNING
            done = await bench.finish(call, 1)
            await bench.queue.delete(call.job_id)
            assert [record async for record in watch] == [done]

    async def test_observers_are_told_that_a_record_is_gone_and_why(self) -> None:
        """``removed`` is told once for each record that is deleted, or is one too many."""
        seen = Removals()
        async with self.bench([seen], max_results=2) as bench:
            first = await bench.finish(await bench.begin(metadata={"file": "a"}))
            assert await bench.queue.delete(first.job_id) is True
            ids = [(await bench.finish(await bench.begin())).job_id for _ in range(3)]
            await bench.pruned()
            await bench.clock.settle()
            assert seen.reasons == [(first.job_id, "deleted"), (ids[0], "number")]
            assert (seen.events[0].record, seen.events[0].job_type) == (first, "hold")

    @needs("own_clock")
    async def test_observers_are_told_that_a_record_is_too_old(self) -> None:
        """``removed`` is told once for each record whose ``result_ttl`` is over."""
        seen = Removals()
        async with self.bench([seen], result_ttl=100) as bench:
            ids = [(await bench.finish(await bench.begin())).job_id for _ in range(2)]
            await bench.clock.advance(101)
            assert list(await bench.queue.list_jobs()) == []
            await bench.clock.settle()
            assert seen.reasons == [(ids[0], "age"), (ids[1], "age")]

    # Payloads that are kept.

    async def test_a_payload_is_on_the_record_if_its_type_keeps_it(self) -> None:
        """The record has the payload as JSON with its defaults, while it is live and afterwards."""
        async with self.bench(concurrency=1) as bench:
            keep(bench)
            blocker = await bench.begin()
            job_id = await bench.put("kept", {"n": 1})
            payload = (await bench.record(job_id)).payload
            assert payload == {"n": 1, "more": 2}
            await bench.finish(blocker)
            done = await bench.queue.wait(job_id)
            assert done.payload == payload
            assert (await bench.run("plain", {"n": 1})).payload is None

    async def test_nobody_can_change_a_payload_that_is_kept(self) -> None:
        """Each reader gets a copy of its own."""
        async with self.bench() as bench:
            keep(bench)
            done = await bench.run("kept", {"n": 1})
            assert done.payload is not None
            done.payload["n"] = 7
            assert (await bench.record(done.job_id)).payload == {"n": 1, "more": 2}

    # Resubmitting.

    async def test_a_finished_job_can_be_submitted_again(self) -> None:
        """The new job has the same type, payload, time limit and metadata, and says its origin."""
        async with self.bench() as bench:
            keep(bench)
            first = await bench.run("kept", {"n": -1}, metadata={"user": "ada"})
            assert first.status is JobStatus.FAILED
            for source in (first.job_id, (await bench.run("kept", {"n": 3})).job_id):
                second = await self._again(bench, source)
                origin = await bench.record(source)
                assert second.job_id != source
                assert (second.job_type, second.payload) == ("kept", origin.payload)
                assert second.metadata == {**origin.metadata, "resubmitted_from": source}
            assert second.result == {"sum": 5, "metadata": second.metadata}
            assert await bench.record(first.job_id) == first

    async def test_a_job_submitted_again_has_the_time_limit_of_the_first(self) -> None:
        """A ``timeout`` given to ``submit`` holds for the new job too."""
        async with self.bench() as bench:
            bench.handlers.register("slow", bench.hold, keep_payload=True)
            first = await bench.finish(await bench.begin("slow", timeout=7))
            submission = bench.resubmit(first.job_id)
            await bench.clock.settle()
            call = bench.calls[-1]
            await bench.clock.advance(8)
            assert await submission == call.job_id
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    async def test_a_live_job_is_not_submitted_again(self) -> None:
        """Resubmitting a job that has not finished is an error, and nothing is queued."""
        async with self.bench() as bench:
            call = await bench.begin()
            with pytest.raises(ValueError, match="finished"):
                await bench.queue.resubmit(call.job_id)
            assert len(await bench.queue.list_jobs()) == 1

    async def test_a_job_whose_payload_was_not_kept_is_not_submitted_again(self) -> None:
        """Resubmitting it is an error that names the remedy; an unknown id is not found."""
        async with self.bench() as bench:
            done = await bench.finish(await bench.begin())
            with pytest.raises(PayloadNotKeptError, match="keep_payload"):
                await bench.queue.resubmit(done.job_id)
            with pytest.raises(JobNotFoundError):
                await bench.queue.resubmit("unknown")

    @needs("durable")
    async def test_a_job_of_the_last_queue_can_be_submitted_again(self) -> None:
        """A kept payload outlives the queue: the next one shows it and runs it once more."""
        old = await self.new_bench()
        keep(old)
        async with old:
            first = await old.run("kept", {"n": -1}, metadata={"user": "ada"})
            await old.close()
        bench = await self.new_bench()
        keep(bench)
        async with bench:
            assert await bench.record(first.job_id) == first
            second = await self._again(bench, first.job_id)
            assert second.payload == {"n": -1, "more": 2}
            assert second.metadata == {"user": "ada", "resubmitted_from": first.job_id}

    async def _again(self, bench: Bench, job_id: str) -> Any:
        return await bench.queue.wait(await bench.resubmit(job_id))
