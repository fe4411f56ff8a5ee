"""What happens to a job is true when it is written: a store is held, or fails, at every step."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from stoat_jobs import (
    FinishedEvent,
    JobHandlers,
    JobNotKeptError,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    QueueFullError,
    StartedEvent,
)
from stoat_jobs.testing._contract_stopping import log_of
from stoat_jobs.testing._promises import Promises

from ..support.gated import GatedJobQueue, GatedStore
from ..support.loops import ON_UVLOOP, UvloopWithFakeClock


class Told(JobObserver):
    """Notes what it was told of which job."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def submitted(self, event: Any) -> None:
        self.events.append("submitted")

    def started(self, event: StartedEvent) -> None:
        self.events.append("started")

    def finished(self, event: FinishedEvent) -> None:
        self.events.append(f"finished {event.record.status}")


class Gated(Promises):
    """Base of tests of queues whose store can be held."""

    def setup_method(self) -> None:
        self.store = GatedStore()

    def teardown_method(self) -> None:
        self.store.writes.open()
        self.store.reads.open()

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> GatedJobQueue:
        return GatedJobQueue(handlers, settings, observers, store=self.store)


class TestNewJobs(Gated):
    """A new job is accepted when it is written."""

    async def test_a_submit_returns_when_its_job_is_written(self) -> None:
        """Until then no list shows the job, nobody is told of it, and it does not start."""
        told = Told()
        async with self.bench([told]) as bench:
            self.store.writes.shut()
            submission = bench.submit("hold")
            await bench.clock.settle()
            assert not submission.done()
            assert await bench.queue.list_jobs() == []
            assert (await bench.queue.stats()).by_status[JobStatus.PENDING] == 0
            assert (told.events, bench.calls, self.store.jobs) == ([], [], {})
            self.store.writes.open()
            job_id = await submission
            assert list(self.store.jobs) == [job_id]
            assert [job.job_id for job in await bench.queue.list_jobs()] == [job_id]
            await bench.call(job_id)
            assert told.events == ["submitted", "started"]

    async def test_many_are_accepted_when_all_are_written(self) -> None:
        """``submit_many`` shows none of its jobs before it returns, and then all."""
        async with self.bench() as bench:
            self.store.writes.shut()
            submission = asyncio.ensure_future(bench.queue.submit_many("hold", [{}] * 3))
            await bench.clock.settle()
            assert not submission.done()
            assert await bench.queue.list_jobs() == []
            self.store.writes.open()
            ids = await submission
            assert list(self.store.jobs) == ids
            bench.open_gates()
            for job_id in ids:
                await bench.queue.wait(job_id)

    @pytest.mark.parametrize("unique", ["live", "kept"])
    async def test_a_key_waits_for_the_write_of_its_job(self, unique: Any) -> None:
        """Whoever submits with the key of a job that is being written gets its id with it."""
        async with self.bench() as bench:
            self.store.writes.shut()
            options = {"key": "k", "unique": unique}
            submissions = [bench.submit("hold", **options) for _ in range(3)]
            await bench.clock.settle()
            assert not any(each.done() for each in submissions)
            self.store.writes.open()
            ids = await asyncio.gather(*submissions)
            assert ids == [ids[0]] * 3
            assert list(self.store.jobs) == [ids[0]]

    async def test_what_is_being_written_counts_for_the_limit(self) -> None:
        """``max_pending`` is kept, however long the store takes."""
        async with self.bench(max_pending=2) as bench:
            self.store.writes.shut()
            submissions = [bench.submit("hold") for _ in range(2)]
            await bench.clock.settle()
            with pytest.raises(QueueFullError):
                await bench.queue.submit("hold", {})
            self.store.writes.open()
            await asyncio.gather(*submissions)
            await bench.clock.settle()
            assert len(bench.calls) == 1
            await bench.put()  # one of them runs, so there is room for one more
            with pytest.raises(QueueFullError):
                await bench.queue.submit("hold", {})

    async def test_a_write_that_fails_refuses_every_new_job_in_it(self) -> None:
        """All callers that share it get the reason; their keys and places are free again."""
        async with self.bench(max_pending=3) as bench:
            self.store.writes.shut()
            first = bench.submit("hold")
            await bench.clock.settle()
            others = [bench.submit("hold", key="k"), bench.submit("hold", key="k")]
            await bench.clock.settle()
            self.store.fails = True
            self.store.writes.open()
            errors = await asyncio.gather(first, *others, return_exceptions=True)
            assert [type(error) for error in errors] == [JobNotKeptError] * 3
            assert {str(error) for error in errors} == {
                "backend 'text' cannot keep a job: disk full"
            }
            assert await bench.queue.list_jobs() == []
            assert bench.calls == []
            self.store.fails = False
            ids = [await bench.put(key="k"), await bench.put(), await bench.put()]
            assert list(self.store.jobs) == ids

    async def test_a_job_that_cannot_be_written_refuses_no_other(self) -> None:
        """Of a write that fails each new job is tried alone, and the log has no failure of it."""
        async with self.bench() as bench:
            self.store.refused.add("deaf")
            self.store.writes.shut()
            blocked = bench.submit("hold")
            await bench.clock.settle()
            others = [bench.submit("deaf"), bench.submit("hold")]
            await bench.clock.settle()
            self.store.writes.open()
            await blocked
            bad, good = await asyncio.gather(*others, return_exceptions=True)
            assert isinstance(bad, JobNotKeptError)
            assert await bench.status(str(good)) is JobStatus.PENDING

    async def test_a_submit_that_is_cancelled_while_it_waits(self) -> None:
        """The job may have been accepted: it is written and runs, once, and holds its key."""
        async with self.bench() as bench:
            self.store.writes.shut()
            submission, other = bench.submit("hold", key="k"), bench.submit("hold", key="k")
            await bench.clock.settle()
            submission.cancel()
            await bench.clock.settle()
            assert (submission.cancelled(), other.done()) == (True, False)
            self.store.writes.open()
            job_id = await other
            assert (await bench.finish(await bench.call(job_id), 1)).result == 1
            assert len(bench.calls) == 1

    async def test_a_refusal_after_the_submitter_left_is_no_error_of_the_loop(self) -> None:
        """If the write fails when nobody waits any more, nobody is told, and no error is left."""
        async with self.bench() as bench:
            self.store.writes.shut()
            submission = bench.submit("hold", key="k")
            await bench.clock.settle()
            submission.cancel()
            self.store.fails = True
            self.store.writes.open()
            await bench.clock.settle()
            self.store.fails = False
            await bench.begin(key="k")
            assert len(await bench.queue.list_jobs()) == 1


class TestChanges(Gated):
    """What becomes of a job is true when it is written."""

    async def test_a_handler_is_called_when_its_start_is_written(self) -> None:
        """Until then the job is pending, though it has its slot."""
        told = Told()
        async with self.bench([told], concurrency=1) as bench:
            blocker = await bench.begin()
            job_id = await bench.put()
            blocker.finish()
            self.store.writes.shut()
            await bench.clock.settle()
            assert await bench.queue.get_status(job_id) is JobStatus.PENDING
            assert bench.calls_of(job_id) == []
            self.store.writes.open()
            await bench.call(job_id)
            assert await bench.status(job_id) is JobStatus.RUNNING

    async def test_a_start_is_in_the_store_before_its_handler_is_called(self) -> None:
        """So a job that takes its process with it is counted, however fast it does so."""
        async with self.bench() as bench:
            seen: list[str] = []

            @bench.handlers.job
            async def look(ctx: Any) -> None:
                seen.append(self.store.jobs[ctx.job_id])

            await bench.run("look")
            (text,) = seen
            assert '"deliveries":1' in text
            assert '"status":"running"' in text

    async def test_a_finish_is_told_when_it_is_written(self) -> None:
        """Until then the record says ``running`` and nobody is told, but its slot is free."""
        told = Told()
        async with self.bench([told], concurrency=1) as bench:
            call = await bench.begin()
            watching = bench.watching(call.job_id)
            waiting = asyncio.ensure_future(bench.queue.wait(call.job_id))
            await bench.clock.settle()
            self.store.writes.shut()
            call.finish("done")
            await bench.clock.settle()
            assert await bench.queue.get_status(call.job_id) is JobStatus.RUNNING
            assert (await bench.queue.get_result(call.job_id)).result is None
            assert (waiting.done(), watching.over) == (False, False)
            assert "finished completed" not in told.events
            assert (await bench.queue.stats()).slots_in_use == 0
            self.store.writes.open()
            assert (await waiting).result == "done"
            assert (await watching.all())[-1].result == "done"
            assert told.events[-1] == "finished completed"

    async def test_a_cancel_of_a_job_that_waits_is_told_when_it_is_written(self) -> None:
        """``cancel`` returns when the end is in the store, and the record says so from then on."""
        async with self.bench() as bench:
            await bench.begin()
            job_id = await bench.put()
            self.store.writes.shut()
            cancel = asyncio.ensure_future(bench.queue.cancel(job_id))
            await bench.clock.settle()
            assert not cancel.done()
            assert await bench.queue.get_status(job_id) is JobStatus.PENDING
            self.store.writes.open()
            assert await cancel is True
            assert await bench.queue.get_status(job_id) is JobStatus.CANCELLED
            assert '"cancelled"' in self.store.jobs[job_id]

    async def test_a_cancel_while_the_start_is_written_ends_the_job(self) -> None:
        """The handler is never called, and the slot is free for another."""
        async with self.bench(concurrency=1) as bench:
            self.store.writes.shut()
            submission = bench.submit("hold")
            await bench.clock.settle()
            self.store.writes.open()
            self.store.writes.shut()  # again, for the next
            job_id = await submission
            await bench.clock.settle()
            assert (await bench.queue.stats()).slots_in_use == 1
            cancel = asyncio.ensure_future(bench.queue.cancel(job_id))
            await bench.clock.settle()
            self.store.writes.open()
            assert await cancel is True
            record = await bench.record(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert record.started_at is None
            assert bench.calls == []
            assert (await bench.finish(await bench.begin(), 1)).result == 1

    async def test_a_stop_while_the_start_is_written_gives_the_job_back(self) -> None:
        """Its handler is not called any more, and it starts in the next life."""
        async with self.bench(drain_timeout=5) as old:
            self.store.writes.shut()
            submission = old.submit("hold", {"n": 1})
            await old.clock.settle()
            self.store.writes.open()
            self.store.writes.shut()
            job_id = await submission
            await old.clock.settle()
            closing = asyncio.ensure_future(old.close())
            await asyncio.sleep(0)
            self.store.writes.open()
            await closing
            assert await old.queue.get_status(job_id) is JobStatus.PENDING
            assert old.calls == []
        assert '"deliveries":0' in self.store.jobs[job_id]
        async with self.bench() as bench:
            assert (await bench.finish(await bench.call(job_id), 1)).result == 1

    async def test_a_cancel_while_the_finish_is_written_is_too_late(self) -> None:
        """It is False, and the job ends as its handler said."""
        async with self.bench() as bench:
            call = await bench.begin()
            self.store.writes.shut()
            call.finish("done")
            await bench.clock.settle()
            cancel = asyncio.ensure_future(bench.queue.cancel(call.job_id))
            await bench.clock.settle()
            self.store.writes.open()
            assert await cancel is False
            record = await bench.record(call.job_id)
            assert (record.status, record.result) == (JobStatus.COMPLETED, "done")
            assert record.cancel_requested is False

    async def test_a_delete_is_told_when_it_is_written(self) -> None:
        """``delete`` returns when the record has left the store."""
        async with self.bench() as bench:
            job_id = (await bench.finish(await bench.begin())).job_id
            self.store.writes.shut()
            deletion = asyncio.ensure_future(bench.queue.delete(job_id))
            await bench.clock.settle()
            assert not deletion.done()
            self.store.writes.open()
            assert await deletion is True
            assert self.store.jobs == {}

    async def test_all_cancels_are_told_when_they_are_written(self) -> None:
        """``cancel_all`` returns when the ends of those that waited are in the store."""
        async with self.bench() as bench:
            await bench.begin("deaf")
            waiting = [await bench.put() for _ in range(3)]
            self.store.writes.shut()
            cancel = asyncio.ensure_future(bench.queue.cancel_all())
            await bench.clock.settle()
            assert not cancel.done()
            self.store.writes.open()
            assert await cancel == 4
            for job_id in waiting:
                assert '"cancelled"' in self.store.jobs[job_id]

    async def test_nobody_waits_for_metadata_to_be_written(self) -> None:
        """An update is on the record at once, and in the store later."""
        async with self.bench() as bench:
            call = await bench.begin()
            self.store.writes.shut()
            call.ctx.update_metadata(page=3)
            await bench.clock.settle()
            assert (await bench.queue.get_result(call.job_id)).metadata == {"page": 3}
            assert '"page"' not in self.store.jobs[call.job_id]
            self.store.writes.open()
            await bench.clock.settle()
            assert '"page":3' in self.store.jobs[call.job_id]


class TestFailures(Gated):
    """A store that fails refuses what is new, and loses nothing that was accepted."""

    async def test_new_jobs_are_refused_with_the_reason(self) -> None:
        """A submission that cannot be kept is an error for its caller, and nothing is queued."""
        async with self.bench() as bench:
            self.store.fails = True
            words = "^backend 'text' cannot keep a job: disk full"
            with pytest.raises(JobNotKeptError, match=words):
                await bench.queue.submit("hold", {})
            with pytest.raises(JobNotKeptError, match=words):
                await bench.queue.submit_many("hold", [{}, {}])
            assert await bench.queue.list_jobs() == []
            self.store.fails = False
            assert (await bench.finish(await bench.begin(), 1)).result == 1

    async def test_a_finish_is_kept_and_written_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is told when the store works again; the log says when that began and ended."""
        caplog.set_level(logging.INFO, "stoat_jobs")
        async with self.bench() as bench:
            call = await bench.begin()
            waiting = asyncio.ensure_future(bench.queue.wait(call.job_id))
            self.store.fails = True
            call.finish("kept")
            await bench.clock.advance(30)
            assert not waiting.done()
            assert await bench.queue.get_status(call.job_id) is JobStatus.RUNNING
            with pytest.raises(JobNotKeptError):
                await bench.queue.submit("hold", {})
            (line,) = log_of(caplog, "store_failed")
            assert (line.levelno, line.backend, line.error) == (  # type: ignore[attr-defined]
                *(logging.ERROR, "text"),
                "disk full",
            )
            assert log_of(caplog, "store_recovered") == []
            self.store.fails = False
            await bench.clock.advance(1.1)
            assert (await waiting).result == "kept"
            assert len(log_of(caplog, "store_recovered")) == 1
            assert (await bench.finish(await bench.begin(), 1)).result == 1
        assert len(log_of(caplog, "store_failed")) == 1

    async def test_no_handler_is_called_while_the_store_fails(self) -> None:
        """No start can be written, so what waits goes on waiting, and starts afterwards."""
        async with self.bench(concurrency=1) as bench:
            call = await bench.begin()
            waiting = [await bench.put() for _ in range(2)]
            self.store.fails = True
            call.finish()
            await bench.clock.advance(30)
            assert len(bench.calls) == 1
            assert await bench.queue.get_status(waiting[0]) is JobStatus.PENDING
            self.store.fails = False
            await bench.clock.advance(1.1)
            for job_id in waiting:
                await bench.finish(await bench.call(job_id))

    async def test_the_time_limit_counts_from_the_start_that_was_written(self) -> None:
        """A job that waited for its start to be written has all of its time."""
        async with self.bench(concurrency=1) as bench:
            call = await bench.begin()
            job_id = await bench.put(timeout=10)
            self.store.fails = True
            call.finish()
            await bench.clock.advance(60)
            self.store.fails = False
            await bench.clock.advance(1.1)
            await bench.call(job_id)
            await bench.clock.advance(8)
            assert await bench.status(job_id) is JobStatus.RUNNING
            await bench.clock.advance(3)
            assert await bench.status(job_id) is JobStatus.TIMEOUT

    async def test_a_record_that_the_store_does_not_drop_is_dropped_later(self) -> None:
        """It is gone from the queue at once, and from the store when that works again."""
        async with self.bench(max_results=1) as bench:
            first = await bench.finish(await bench.begin())
            second = await bench.finish(await bench.begin())
            await bench.clock.settle()
            assert list(self.store.jobs) == [second.job_id]
            self.store.fails = True
            deletion = asyncio.ensure_future(bench.queue.delete(second.job_id))
            await bench.clock.advance(5)
            assert await deletion is True
            assert await bench.queue.list_jobs() == []
            self.store.fails = False
            await bench.clock.advance(1.1)
            assert self.store.jobs == {}
            assert first.job_id != second.job_id

    async def test_a_read_that_fails_says_so(self) -> None:
        """Reading a record that the store cannot give is an error with the reason."""
        async with self.bench() as old:
            job_id = (await old.finish(await old.begin(), 1)).job_id
        async with self.bench() as bench:
            self.store.fails = True
            for read in (bench.queue.get_result(job_id), bench.queue.list_jobs()):
                with pytest.raises(RuntimeError, match="backend 'text' cannot read: disk broken"):
                    await read
            assert await bench.queue.get_status(job_id) is JobStatus.COMPLETED
            self.store.fails = False
            assert (await bench.queue.get_result(job_id)).result == 1


class TestThreads(Gated):
    """The event loop never waits for the store."""

    async def test_the_store_is_called_in_threads_of_its_own(self) -> None:
        """One thread opens, writes and closes, another one reads; both end with the queue."""
        loops_own = threading.current_thread()
        async with self.bench() as old:
            job_id = (await old.finish(await old.begin(), 1)).job_id
            await old.close()
        self.store.threads.clear()
        async with self.bench() as bench:
            assert (await bench.queue.get_result(job_id)).result == 1
            await bench.finish(await bench.begin())
            await bench.close()
        threads = self.store.threads
        (writing,) = threads["open"] | threads["live"] | threads["write"] | threads["close"]
        (reading,) = threads["read"]
        assert len({loops_own, writing, reading}) == 3
        assert writing.name.startswith("stoat-jobs ")
        assert reading.name.startswith("stoat-jobs ")
        assert not writing.is_alive()
        assert not reading.is_alive()

    async def test_reads_do_not_wait_for_writes(self) -> None:
        """A record of an earlier life is read while a write is held."""
        async with self.bench() as old:
            job_id = (await old.finish(await old.begin(), 1)).job_id
        async with self.bench() as bench:
            self.store.writes.shut()
            submission = bench.submit("hold")
            await bench.clock.settle()
            assert (await bench.queue.get_result(job_id)).result == 1
            assert not submission.done()
            self.store.writes.open()
            await submission

    async def test_finished_records_are_read_when_asked_for(self) -> None:
        """A start reads none of them; who asks for one reads that one, a list those it shows."""
        async with self.bench() as old:
            ids = [(await old.finish(await old.begin(), number)).job_id for number in range(5)]
        self.store.read_ids.clear()
        async with self.bench() as bench:
            assert (await bench.queue.stats()).by_status[JobStatus.COMPLETED] == 5
            assert await bench.queue.get_status(ids[0]) is JobStatus.COMPLETED
            assert self.store.read_ids == []
            assert (await bench.queue.get_result(ids[1])).result == 1
            assert self.store.read_ids == [ids[1]]
            for filters in ({}, {"status": "completed"}, {"job_type": ["hold", "deaf"]}):
                self.store.read_ids.clear()
                page = await bench.queue.list_jobs(limit=2, **filters)
                assert [job.result for job in page] == [4, 3]
                assert set(self.store.read_ids) == set(ids[2:])  # with the first of the next page


class TestStops(Gated):
    """A stop is bounded, and loses nothing that was acknowledged."""

    async def test_a_stop_while_the_store_hangs_is_bounded(self) -> None:
        """It returns in its time; what was acknowledged is there in the next life."""
        async with self.bench(drain_timeout=3, cancel_grace=1) as bench:
            call = await bench.begin()
            waiting = await bench.put()
            self.store.writes.shut()
            call.finish("never told")
            await bench.clock.settle()
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() - begun <= 3 + 2 * 1 + 1
            self.store.writes.open()
            await self._until_closed()
        async with self.bench(concurrency=2) as bench:
            bench.open_gates()
            for job_id in (call.job_id, waiting):
                assert (await bench.queue.wait(job_id)).status is JobStatus.COMPLETED

    async def _until_closed(self) -> None:
        """Until the store, which was given up, has answered and closed after all."""
        for thread in self.store.threads["write"]:
            await asyncio.to_thread(thread.join)

    async def test_a_stop_while_the_store_fails_loses_nothing(self) -> None:
        """A finish that was never written was never told: the job runs again."""
        async with self.bench(drain_timeout=3) as bench:
            call = await bench.begin()
            self.store.fails = True
            call.finish("never told")
            await bench.clock.settle()
            await bench.close()
            self.store.fails = False
        async with self.bench() as bench:
            again = await bench.call(call.job_id)
            assert (await bench.finish(again, "told")).result == "told"

    async def test_what_is_on_its_way_is_written_by_the_stop(self) -> None:
        """An end that comes as the queue closes is in the store when the queue is closed."""
        async with self.bench(drain_timeout=5) as bench:
            call = await bench.begin()
            closing = asyncio.ensure_future(bench.close())
            await asyncio.sleep(0)
            call.finish("in time")
            await closing
        async with self.bench() as bench:
            assert (await bench.queue.get_result(call.job_id)).result == "in time"


class TestLocks(Gated):
    """One queue at a time has a store open."""

    async def test_a_start_waits_for_a_predecessor_that_drains(self) -> None:
        """With ``lock_wait`` a second queue starts when the first has closed the store."""
        async with self.bench() as old:
            job_id = (await old.finish(await old.begin(), 1)).job_id
            bench = await self.new_bench()
            bench.queue.wait_for_lock = 20.0  # type: ignore[attr-defined]
            opening = asyncio.ensure_future(bench.open())
            await bench.clock.advance(10)
            assert (opening.done(), bench.queue.started) == (False, False)
            await old.close()
            await bench.clock.advance(0.2)
            await opening
            assert (await bench.queue.get_result(job_id)).result == 1
            await bench.close()

    async def test_a_start_waits_no_longer_than_it_may(self) -> None:
        """After ``lock_wait`` seconds it is refused, and may be tried again."""
        async with self.bench() as old:
            bench = await self.new_bench()
            bench.queue.wait_for_lock = 5.0  # type: ignore[attr-defined]
            begun = bench.clock.time()
            with pytest.raises(RuntimeError, match="cannot start: another queue has it open"):
                await bench.clock.drive(bench.queue.__aenter__())
            assert 5.0 <= bench.clock.time() - begun <= 5.2
            await old.close()
            await bench.open()
            await bench.close()


for _group in (TestNewJobs, TestChanges, TestFailures, TestThreads, TestStops, TestLocks):
    _name = f"{_group.__name__}OnUvloop"
    _options = {"loop_factory": UvloopWithFakeClock, "__module__": __name__}
    globals()[_name] = ON_UVLOOP(type(_name, (_group,), _options))
