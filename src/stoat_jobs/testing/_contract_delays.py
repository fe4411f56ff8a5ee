"""Promises about when a job starts: not before its delay, and not beside too many of its type."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from stoat_jobs import JobStatus, QueueFullError

from ._promises import Promises, needs

REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "negative": (-1, ValueError),
    "negative timedelta": (timedelta(seconds=-1), ValueError),
    "NaN": (math.nan, ValueError),
    "infinite": (math.inf, ValueError),
    "too long for a date": (1e300, ValueError),
    "huge int": (10**400, ValueError),
    "bool": (True, TypeError),
    "text": ("5", TypeError),
}


class DelayPromises(Promises):
    """A delayed job waits for its time, and is a pending job in all else."""

    @pytest.mark.parametrize("case", REFUSED)
    async def test_a_delay_that_is_none_is_refused(self, case: str) -> None:
        """A delay that is negative, not finite or no number is an error, and nothing is queued."""
        delay, error = REFUSED[case]
        async with self.bench() as bench:
            with pytest.raises(error, match="delay"):
                await bench.queue.submit("hold", {}, delay=delay)
            assert not await bench.queue.list_jobs()

    async def test_a_delay_is_on_the_record(self) -> None:
        """``not_before`` is the time of the submission plus the delay; None without a delay."""
        async with self.bench() as bench:
            bench.open_gates()
            ids = [await bench.put(delay=delay) for delay in (7.5, timedelta(minutes=1), 0, None)]
            records = [await bench.queue.get_result(job_id) for job_id in ids]
            waits = [
                record.not_before and (record.not_before - record.submitted_at).total_seconds()
                for record in records
            ]
            assert waits == [pytest.approx(7.5), pytest.approx(60), None, None]

    @needs("waits_for_delays", "own_clock")
    async def test_a_delayed_job_starts_when_its_delay_has_passed(self) -> None:
        """It is pending before, while slots are free, and starts on time by the loop's clock."""
        async with self.bench() as bench:
            job_id = await bench.put(delay=10)
            await bench.clock.advance(9.9)
            assert await bench.status(job_id) is JobStatus.PENDING
            await bench.clock.advance(0.2)
            assert await bench.status(job_id) is JobStatus.RUNNING
            assert (await bench.finish(await bench.call(job_id), 1)).result == 1

    @needs("waits_for_delays", "own_clock")
    async def test_of_the_due_the_one_that_is_due_longest_starts_first(self) -> None:
        """Jobs start in the order of their due times, a job without a delay by its submission."""
        async with self.bench(concurrency=1) as bench:
            first = await bench.begin()
            late = await bench.put(delay=5)
            early = await bench.put(delay=2)
            at_once = await bench.put()
            await bench.clock.advance(3)
            between = await bench.put()
            await bench.clock.advance(7)
            first.finish()
            for job_id in (at_once, early, between, late):
                await bench.finish(await bench.call(job_id))
            assert [call.job_id for call in bench.calls[1:]] == [at_once, early, between, late]

    @needs("waits_for_delays")
    async def test_a_delayed_job_keeps_no_slot(self) -> None:
        """Jobs without a delay that come later run while delayed ones wait."""
        async with self.bench(concurrency=1) as bench:
            delayed = await bench.put(delay=100)
            assert (await bench.finish(await bench.begin(), 1)).result == 1
            assert await bench.status(delayed) is JobStatus.PENDING

    @needs("waits_for_delays")
    async def test_a_delayed_job_counts_for_max_pending(self) -> None:
        """A queue whose ``max_pending`` jobs are all delayed refuses one more."""
        async with self.bench(max_pending=2) as bench:
            await bench.put(delay=5)
            await bench.put(delay=5)
            with pytest.raises(QueueFullError):
                await bench.queue.submit("hold", {})

    @needs("waits_for_delays")
    async def test_a_delayed_job_can_be_cancelled(self) -> None:
        """It is cancelled at once."""
        async with self.bench() as bench:
            gone = await bench.put(delay=1)
            assert await bench.queue.cancel(gone) is True
            assert await bench.status(gone) is JobStatus.CANCELLED

    @needs("waits_for_delays", "own_clock")
    async def test_a_delayed_job_that_was_cancelled_never_starts(self) -> None:
        """The next delayed job starts on time."""
        async with self.bench() as bench:
            gone, other = [await bench.put(delay=delay) for delay in (1, 2)]
            await bench.queue.cancel(gone)
            await bench.clock.advance(3)
            assert [call.job_id for call in bench.calls] == [other]

    @needs("waits_for_delays")
    async def test_a_delayed_job_of_the_last_life_waits_for_the_next(self) -> None:
        """At the stop it ends as other waiting jobs do, and no timer is left that starts it."""
        async with self.bench() as bench:
            job_id = await bench.put(delay=5)
            await bench.close()
            await bench.clock.advance(10)
            assert bench.calls == []
            expected = JobStatus.PENDING if bench.capabilities.durable else JobStatus.CANCELLED
            assert await bench.queue.get_status(job_id) is expected


class LimitPromises(Promises):
    """At most ``concurrency`` jobs of a type that has one run at once."""

    @needs("concurrent")
    async def test_a_limited_type_runs_so_many_at_once(self) -> None:
        """A slot of its own type frees when a job of it finishes, whichever way."""
        async with self.bench(concurrency=5) as bench:
            bench.handlers.register("gpu", bench.hold, concurrency=2)
            ids = [await bench.put("gpu") for _ in range(4)]
            assert [call.job_id for call in bench.calls] == ids[:2]
            await bench.finish(bench.calls[0])
            await bench.clock.settle()
            assert [call.job_id for call in bench.calls] == ids[:3]
            assert await bench.queue.cancel(ids[1]) is True
            await bench.clock.settle()
            assert [call.job_id for call in bench.calls] == ids

    @needs("concurrent")
    async def test_a_full_type_lets_others_pass(self) -> None:
        """Jobs of other types start meanwhile; those of the full type keep their order."""
        async with self.bench(concurrency=3) as bench:
            bench.handlers.register("gpu", bench.hold, concurrency=1)
            running, second, third = [await bench.put("gpu") for _ in range(3)]
            other = await bench.begin("hold")
            await bench.finish(other)
            for job_id in (running, second, third):
                await bench.finish(await bench.call(job_id))
            in_order = [call.job_id for call in bench.calls if call is not other]
            assert in_order == [running, second, third]

    @needs("concurrent")
    async def test_a_limited_job_that_is_due_longer_goes_first(self) -> None:
        """As soon as its type has room, it comes before later jobs of other types."""
        async with self.bench(concurrency=1) as bench:
            bench.handlers.register("gpu", bench.hold, concurrency=1)
            first = await bench.begin("gpu")
            limited = await bench.put("gpu")
            other = await bench.put("hold")
            first.finish()
            await bench.finish(await bench.call(limited))
            await bench.finish(await bench.call(other))
            assert [call.job_id for call in bench.calls[1:]] == [limited, other]

    async def test_a_limited_job_is_a_pending_one_in_all_else(self) -> None:
        """It counts for ``max_pending``, can be cancelled, and the rest runs on."""
        async with self.bench(concurrency=2, max_pending=2) as bench:
            bench.handlers.register("gpu", bench.hold, concurrency=1)
            running = await bench.begin("gpu")
            ids = [await bench.put("gpu") for _ in range(2)]
            with pytest.raises(QueueFullError):
                await bench.queue.submit("gpu", {})
            assert await bench.queue.cancel(ids[0]) is True
            running.finish()
            await bench.finish(await bench.call(ids[1]))
            assert len(bench.calls) == 2

    @needs("concurrent")
    async def test_an_abandoned_job_frees_the_slot_of_its_type(self) -> None:
        """As a slot of the queue: whoever ignores the end of its grace holds up nobody."""
        async with self.bench(concurrency=2, cancel_grace=1) as bench:
            bench.handlers.register("gpu", bench.work, concurrency=1)
            stuck = await bench.begin("gpu")
            following = await bench.put("gpu")
            await bench.queue.cancel(stuck.job_id)
            await bench.clock.advance(1.5)
            await bench.finish(await bench.call(following))
