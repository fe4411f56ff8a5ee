"""Promises about records: reading, progress, listing, counting."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
import time
from datetime import UTC, timedelta
from typing import Any, cast

import pytest

from stoat_jobs import JobContext, JobNotFoundError, JobStatus

from ._others import REAL_LIMIT
from ._promises import Promises, needs

# More than it takes until a thread has written three changes.
POLLS = 100_000

REQUEST: contextvars.ContextVar[object] = contextvars.ContextVar("REQUEST", default=None)


class RecordPromises(Promises):
    """What a record says about a job."""

    async def test_a_record_follows_the_job_through_its_life(self) -> None:
        """Each status has its times, timezone-aware and in UTC, and reads never block."""
        async with self.bench() as bench:
            blocker = await bench.begin()
            job_id = await bench.put()
            pending = await bench.record(job_id)
            assert (pending.status, pending.started_at, pending.finished_at) == (
                JobStatus.PENDING,
                None,
                None,
            )
            await bench.finish(blocker)
            running = await bench.record(job_id)
            assert (running.status, running.finished_at) == (JobStatus.RUNNING, None)
            for live in (pending, running):
                ends = (live.result, live.error, live.error_type, live.progress, live.message)
                assert ends == (None,) * 5
            done = await bench.finish(await bench.call(job_id))
            assert done.started_at is not None
            assert done.finished_at is not None
            assert done.submitted_at == pending.submitted_at
            assert done.started_at == running.started_at
            times = (done.submitted_at, done.started_at, done.finished_at)
            assert {time.tzinfo for time in times} == {UTC}
            assert sorted(times) == list(times)

    @needs("own_clock")
    async def test_times_are_those_of_the_loops_clock(self) -> None:
        """A record's times are as far apart as its job waited and ran."""
        async with self.bench(concurrency=1) as bench:
            blocker = await bench.begin()
            job_id = await bench.put()
            await bench.clock.advance(5)
            await bench.finish(blocker)
            call = await bench.call(job_id)
            await bench.clock.advance(7)
            done = await bench.finish(call)
            assert done.started_at is not None
            assert done.finished_at is not None
            assert self._seconds(done.started_at - done.submitted_at) == 5
            assert self._seconds(done.finished_at - done.started_at) == 7

    @pytest.mark.parametrize("step", [-3600.0, 3600.0], ids=["back", "forward"])
    async def test_times_are_ordered_whatever_the_wall_clock_does(
        self, step: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A record's times are in order even if the wall clock is changed."""
        async with self.bench() as bench:
            first = await bench.finish(await bench.begin())
            call = await bench.begin()
            wall_clock = time.time
            monkeypatch.setattr(time, "time", lambda: wall_clock() + step)
            done = await bench.finish(call)
            await bench.close()
            await bench.open()
            last = await bench.finish(await bench.begin())
        times = [
            moment
            for record in (first, done, last)
            for moment in (record.submitted_at, record.started_at, record.finished_at)
            if moment is not None
        ]
        assert times == sorted(times)
        assert len(times) == 9
        assert times[5] - times[3] < timedelta(minutes=1)

    @needs("own_clock")
    async def test_times_follow_a_wall_clock_that_is_set_forwards__fault_64(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the wall clock is set forward, new jobs have the new time; ages are unchanged."""
        async with self.bench(result_ttl=100) as bench:
            first = await bench.finish(await bench.begin())
            running, waiting = await bench.begin(), await bench.put()
            wall_clock = time.time
            monkeypatch.setattr(time, "time", lambda: wall_clock() + 3600)
            cut = await bench.finish(running)
            late = await bench.finish(await bench.call(waiting))
            last = await bench.finish(await bench.begin())
            assert cut.started_at is not None
            assert cut.finished_at is not None
            assert cut.finished_at - cut.started_at < timedelta(seconds=1)
            for moment in (late.started_at, late.finished_at, last.submitted_at, last.started_at):
                assert moment is not None
                assert abs(moment.timestamp() - time.time()) < 2
            assert await bench.record(first.job_id) == first
            await bench.clock.advance(101)
            with pytest.raises(JobNotFoundError):
                await bench.record(last.job_id)

    def _seconds(self, span: timedelta) -> float:
        return round(span.total_seconds(), 3)

    async def test_a_record_is_frozen(self) -> None:
        """A record is a snapshot: it cannot be changed, and does not change."""
        async with self.bench() as bench:
            call = await bench.begin()
            running = await bench.record(call.job_id)
            with pytest.raises(ValueError, match="frozen"):
                running.status = JobStatus.FAILED  # type: ignore[misc]
            await bench.finish(call)
            assert running.status is JobStatus.RUNNING

    async def test_the_payload_is_not_on_the_record(self) -> None:
        """No record shows the payload, which may contain secrets."""
        async with self.bench() as bench:
            call = await bench.begin("hold", {"password": "hunter2"})
            record = await bench.finish(call)
            assert "hunter2" not in repr(record) + record.model_dump_json()

    async def test_a_terminal_record_never_changes__fault_31(self) -> None:
        """A terminal record is not changed by late progress, a late cancel or the deadline."""
        async with self.bench() as bench:
            call = await bench.begin(timeout=5)
            call.ctx.set_progress(0.25)
            done = await bench.finish(call, 1)
            call.ctx.set_progress(1.0, "too late")
            await bench.queue.cancel(call.job_id)
            await bench.clock.advance(10)
            assert await bench.record(call.job_id) == done

    async def test_what_an_abandoned_handler_does_changes_nothing__fault_31(self) -> None:
        """A thread that still runs after its job has finished cannot change the record."""
        async with self.bench(cancel_grace=1) as bench:
            call = await bench.begin("work", timeout=5)
            await bench.clock.advance(7)
            settled = await bench.record(call.job_id)
            assert settled.status is JobStatus.TIMEOUT
            call.ctx.set_progress(1.0, "too late")
            call.finish("too late")
            call.join()
            await bench.clock.settle()
            assert await bench.record(call.job_id) == settled

    # Progress.

    async def test_progress_is_on_the_record_at_once(self) -> None:
        """Clients and watchers see the progress that a handler sets."""
        async with self.bench() as bench:
            call = await bench.begin()
            assert (await bench.record(call.job_id)).progress is None
            watch = bench.watching(call.job_id)
            await bench.clock.settle()
            call.ctx.set_progress(0.5, "half")
            record = await bench.record(call.job_id)
            assert (record.progress, record.message) == (0.5, "half")
            assert watch.seen[-1] == record

    @pytest.mark.parametrize("fraction", [-3, 7, -0.001, 1.001, math.nan, math.inf])
    async def test_progress_outside_0_to_1_is_a_value_error__fault_36(
        self, fraction: float
    ) -> None:
        """``set_progress`` raises for invalid values, and the record is unchanged."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.ctx.set_progress(0.5)
            with pytest.raises(ValueError, match="0 to 1"):
                call.ctx.set_progress(fraction)
            assert (await bench.record(call.job_id)).progress == 0.5

    async def test_progress_after_the_end_is_ignored__fault_36(self) -> None:
        """Progress that is set after the job has finished is ignored."""
        async with self.bench() as bench:
            call = await bench.begin()
            done = await bench.finish(call)
            call.ctx.set_progress(1.0)
            assert await bench.record(call.job_id) == done

    async def test_progress_that_a_thread_hands_over_too_late_is_ignored__fault_36(self) -> None:
        """Progress that a thread set in time is ignored if it arrives after the finish."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def report(ctx: JobContext) -> None:
                thread = threading.Thread(target=ctx.set_progress, args=[1.0])
                thread.start()
                thread.join()

            done = await bench.run("report")
            await bench.clock.settle()
            assert (await bench.record(done.job_id), done.progress) == (done, None)

    async def test_a_reader_that_never_waits_lets_the_job_run(self) -> None:
        """Polling in a loop without a sleep lets the job run and finish."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def slow(ctx: JobContext) -> None:
                for _ in range(10):
                    await asyncio.sleep(0)

            for read in (bench.queue.get_status, bench.queue.get_result):
                before = len(await bench.queue.list_jobs())
                submission = bench.submit("slow")
                while len(jobs := await bench.queue.list_jobs()) == before:
                    await asyncio.sleep(0)
                job_id, last = jobs[0].job_id, None
                for _ in range(POLLS):
                    last = await read(job_id)
                    if getattr(last, "status", last) is JobStatus.COMPLETED:
                        break
                assert getattr(last, "status", last) is JobStatus.COMPLETED
                assert await submission == job_id

    async def test_what_was_reported_last_is_shown_within_a_second(self) -> None:
        """Of many reports of progress and metadata the last one is read and watched soon."""
        async with self.bench() as bench:
            call = await bench.begin()
            watch = bench.watching(call.job_id)
            await bench.clock.settle()
            for step in range(1, 4):
                call.ctx.set_progress(step / 4, f"step {step}")
                call.ctx.update_metadata(step=step)
                await bench.clock.settle()
            await bench.clock.advance(1)
            record = await bench.record(call.job_id)
            assert (record.progress, record.message) == (0.75, "step 3")
            assert record.metadata == {"step": 3}
            assert watch.seen[-1] == record

    @needs("shows_each_report")
    async def test_progress_from_a_thread_wakes_the_loop__fault_40(self) -> None:
        """A sync handler's progress reaches a watcher even if nothing else runs in the loop."""
        async with self.bench() as bench:
            seen = [threading.Event(), threading.Event()]
            bench.clock.set_debug(True)  # the loop then refuses what would not wake it

            @bench.handlers.job
            def report(ctx: JobContext) -> bool:
                ctx.set_progress(0.25, "0")
                first = seen[0].wait(REAL_LIMIT)
                ctx.set_progress(0.5, "1")
                return first and seen[1].wait(REAL_LIMIT)

            job_id = await bench.put("report")
            async for record in bench.queue.watch(job_id):
                if record.message and record.status is JobStatus.RUNNING:
                    seen[int(record.message)].set()
            assert (record.status, record.result, record.progress) == (
                JobStatus.COMPLETED,
                True,
                0.5,
            )

    async def test_a_message_is_one_line_of_at_most_500_characters(self) -> None:
        """However long a progress message is, the record has one short line."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.ctx.set_progress(0.5, "two\nlines" + "x" * 900)
            message = (await bench.record(call.job_id)).message
            assert message is not None
            assert (len(message), message.isprintable()) == (500, True)

    # Listing and counting.

    async def test_list_jobs_is_newest_first_and_limited(self) -> None:
        """The list is newest first, even if all jobs were submitted at the same instant."""
        async with self.bench(concurrency=1) as bench:
            ids = [await bench.put() for _ in range(5)]
            listed = [record.job_id for record in await bench.queue.list_jobs()]
            assert listed == ids[::-1]
            assert [job.job_id for job in await bench.queue.list_jobs(limit=2)] == ids[:2:-1]

    async def test_list_jobs_refuses_a_status_that_is_none(self) -> None:
        """Listing by a status that does not exist is an error, not an empty list."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match="finished"):
                await bench.queue.list_jobs(status=cast(JobStatus, "finished"))

    async def test_list_jobs_gives_a_hundred_unless_told_otherwise(self) -> None:
        """The default limit is 100, a limit of 0 lists nothing, and a negative one is an error."""
        async with self.bench() as bench:
            bench.open_gates()
            for _ in range(101):
                await bench.put()
            assert len(await bench.queue.list_jobs()) == 100
            assert await bench.queue.list_jobs(limit=0) == []
            with pytest.raises(ValueError, match="limit"):
                await bench.queue.list_jobs(limit=-1)

    async def test_list_jobs_filters_by_status_and_job_type(self) -> None:
        """The list can be filtered by status, by job type, or by both."""
        async with self.bench(concurrency=1) as bench:
            await bench.finish(await bench.begin())
            running = await bench.begin("polite")
            pending = await bench.put("hold")

            async def listed(**filters: Any) -> list[str]:
                return [record.job_id for record in await bench.queue.list_jobs(**filters)]

            assert await listed(status=JobStatus.RUNNING) == [running.job_id]
            assert await listed(job_type="hold", status=JobStatus.PENDING) == [pending]
            assert len(await listed(job_type="hold")) == 2
            assert await listed(job_type="polite", status=JobStatus.PENDING) == []
            assert await listed(job_type="nobody") == []

    async def test_stats_are_what_the_records_say__fault_41(self) -> None:
        """The counts in ``stats`` always match the records."""
        async with self.bench(concurrency=1) as bench:
            await bench.finish(await bench.begin())
            failed = await bench.begin()
            failed.fail(ValueError())
            await bench.begin("deaf", timeout=5)
            await bench.queue.cancel(await bench.put())
            await bench.put()
            stats = await bench.queue.stats()
            assert set(stats.by_status) == set(JobStatus)
            assert {status: n for status, n in stats.by_status.items() if n} == {
                JobStatus.COMPLETED: 1,
                JobStatus.FAILED: 1,
                JobStatus.RUNNING: 1,
                JobStatus.CANCELLED: 1,
                JobStatus.PENDING: 1,
            }
            assert (stats.slots_in_use, stats.concurrency, stats.abandoned) == (1, 1, 0)
