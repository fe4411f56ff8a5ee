"""Promises about many records: pages, filters, figures, and jobs that are cancelled together."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stoat_jobs import JobStatus

from ._bench import Bench, all_records
from ._promises import Promises, needs

# What each of some jobs has in its metadata; the last two differ in JSON only.
MARKS: list[dict[str, Any]] = [
    {"user": "ada", "tries": 1},
    {"user": "ada", "tries": 2, "files": ["a"]},
    {"user": "eve", "tries": 1.0},
    {"user": "eve", "tries": True},
]


class PagePromises(Promises):
    """How many records are read, counted and stopped together."""

    async def _some(self, bench: Bench, number: int) -> list[str]:
        """So many finished jobs, newest first."""
        bench.open_gates()
        return [await bench.put() for _ in range(number)][::-1]

    async def test_pages_show_each_record_once(self) -> None:
        """Following the cursors shows every record once, newest first, and the last has none."""
        async with self.bench() as bench:
            ids = await self._some(bench, 6)
            for limit in (1, 2, 3, 4, 6, 7):
                found, before, pages = [], None, 0
                while (before is not None or not pages) and pages <= 6:
                    page = await bench.queue.list_jobs(before=before, limit=limit)
                    found += [record.job_id for record in page]
                    before, pages = page.cursor, pages + 1
                assert (found, pages) == (ids, math.ceil(6 / limit))

    async def test_what_comes_or_goes_meanwhile_moves_no_page(self) -> None:
        """A cursor stays right when its record, or one around it, is deleted or a new one comes."""
        async with self.bench() as bench:
            ids = await self._some(bench, 6)
            page = await bench.queue.list_jobs(limit=2)
            for job_id in (ids[0], ids[1], ids[2]):
                assert await bench.queue.delete(job_id) is True
            await bench.put()
            rest = await bench.queue.list_jobs(before=page.cursor, limit=10)
            assert ([record.job_id for record in rest], rest.cursor) == (ids[3:], None)

    @needs("durable")
    async def test_a_cursor_outlives_the_queue(self) -> None:
        """The cursor of a page goes on in the next queue where it ended in the last one."""
        async with self.bench() as old:
            ids = await self._some(old, 5)
            cursors = [(await old.queue.list_jobs(limit=limit)).cursor for limit in range(1, 5)]
            await old.close()
        async with self.bench() as bench:
            for limit, cursor in enumerate(cursors, 1):
                rest = await bench.queue.list_jobs(before=cursor)
                assert [record.job_id for record in rest] == ids[limit:]

    async def test_pages_are_of_those_that_a_filter_finds(self) -> None:
        """With a filter, the cursors lead through the matching records only."""
        async with self.bench() as bench:
            bench.open_gates()
            wanted = []
            for number in range(6):
                job_id = await bench.put("hold" if number % 2 else "polite")
                wanted += [job_id] if number % 2 else []
            first = await bench.queue.list_jobs(job_type="hold", limit=2)
            last = await bench.queue.list_jobs(job_type="hold", limit=2, before=first.cursor)
            assert [record.job_id for record in (*first, *last)] == wanted[::-1]
            assert (first.cursor is None, last.cursor) == (False, None)

    async def test_a_page_is_immutable(self) -> None:
        """A page is a sequence of records that nobody can change."""
        async with self.bench() as bench:
            ids = await self._some(bench, 2)
            page = await bench.queue.list_jobs()
            assert ([page[0].job_id, page[-1].job_id], len(page)) == (ids, 2)
            for change in ("append", "cursor"):
                with pytest.raises(AttributeError):
                    setattr(page, change, None)

    @pytest.mark.parametrize("cursor", ["", "1", "AAAAAAAAAAAAAAAA", "é" * 16, "x" * 10_000])
    async def test_a_cursor_that_was_made_up_is_an_error(self, cursor: str) -> None:
        """``before`` takes the cursor of a page and nothing else."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match="cursor"):
                await bench.queue.list_jobs(before=cursor)
            with pytest.raises(TypeError, match="cursor"):
                await bench.queue.list_jobs(before=cursor.encode())  # type: ignore[arg-type]

    async def test_a_page_has_at_most_a_thousand_records(self) -> None:
        """A larger limit is an error that says to read by pages."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match="1000"):
                await bench.queue.list_jobs(limit=1_001)
            assert list(await bench.queue.list_jobs(limit=1_000)) == []

    async def test_list_jobs_takes_several_statuses_and_job_types(self) -> None:
        """A filter may name several statuses and several job types, in any iterable."""
        async with self.bench(concurrency=1) as bench:
            done = (await bench.finish(await bench.begin())).job_id
            running = (await bench.begin("polite")).job_id
            pending = await bench.put("deaf")

            async def listed(**filters: Any) -> list[str]:
                return [record.job_id for record in await bench.queue.list_jobs(**filters)]

            assert await listed(status=["pending", JobStatus.COMPLETED]) == [pending, done]
            assert await listed(job_type={"hold", "polite"}) == [running, done]
            assert await listed(status=iter(["running"]), job_type=("polite", "x")) == [running]
            assert await listed(status=[], job_type=[]) == []

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"user": "ada"}, [1, 0]),
            ({"user": "ada", "tries": 1}, [0]),
            ({"tries": 1}, [2, 0]),
            ({"tries": True}, [3]),
            ({"files": "a"}, []),
            ({"nobody": "ada"}, []),
            ({}, [3, 2, 1, 0]),
        ],
    )
    async def test_list_jobs_filters_by_metadata(
        self, wanted: dict[str, Any], found: list[int]
    ) -> None:
        """A job matches if its metadata has all of the items, equal as in JSON."""
        async with self.bench() as bench:
            bench.open_gates()
            ids = [await bench.put(metadata=marks) for marks in MARKS]
            listed = [record.job_id for record in await bench.queue.list_jobs(metadata=wanted)]
            assert listed == [ids[number] for number in found]

    @pytest.mark.parametrize(
        ("filters", "error"),
        [
            ({"metadata": {7: "x"}}, TypeError),
            ({"metadata": {"user": ["ada"]}}, TypeError),
            ({"metadata": {"user": None}}, TypeError),
            ({"metadata": {"tries": math.nan}}, ValueError),
            ({"metadata": "user"}, TypeError),
            ({"job_type": 7}, TypeError),
            ({"job_type": ["hold", 7]}, TypeError),
            ({"status": ["running", "finished"]}, ValueError),
            ({"status": 7}, TypeError),
        ],
    )
    async def test_a_filter_that_cannot_match_is_an_error(
        self, filters: dict[str, Any], error: type[Exception]
    ) -> None:
        """A filter of the wrong type, or with a status that does not exist, finds an error."""
        async with self.bench() as bench:
            for ask in (bench.queue.list_jobs, bench.queue.cancel_all):
                with pytest.raises(error, match=next(iter(filters))):
                    await ask(**filters)

    # Cancelling many.

    async def test_cancel_all_stops_every_live_job_that_matches(self) -> None:
        """Matching jobs that run or wait end ``cancelled``, and the others go on."""
        async with self.bench(concurrency=2) as bench:
            done = await bench.finish(await bench.begin(metadata={"user": "ada"}))
            running = await bench.begin("polite", metadata={"user": "ada"})
            other = await bench.put(metadata={"user": "eve"})
            waiting = [await bench.put(metadata={"user": "ada"}) for _ in range(3)]
            assert await bench.queue.cancel_all(metadata={"user": "ada"}) == 4
            running.finish("partial")
            for job_id in (running.job_id, *waiting):
                record = await bench.queue.wait(job_id)
                assert (record.status, record.cancel_requested) == (JobStatus.CANCELLED, True)
            assert await bench.record(done.job_id) == done
            assert (await bench.finish(await bench.call(other), 1)).result == 1
            assert not any(bench.calls_of(job_id) for job_id in waiting[1:])

    async def test_cancel_all_takes_the_filters_of_a_list(self) -> None:
        """Only jobs of the given status and type are stopped; without a filter all are."""
        async with self.bench(concurrency=1) as bench:
            call = await bench.begin()
            first, second = await bench.put("hold"), await bench.put("polite")
            assert await bench.queue.cancel_all(status="pending", job_type="polite") == 1
            assert await bench.status(second) is JobStatus.CANCELLED
            assert await bench.status(first) is JobStatus.PENDING
            assert await bench.queue.cancel_all(status="failed") == 0
            assert await bench.queue.cancel_all() == 2
            await bench.queue.wait(call.job_id)
            assert await bench.status(first) is JobStatus.CANCELLED
            assert await bench.queue.cancel_all() == 0

    @needs("concurrent", "submit_returns_early")
    async def test_what_cancel_all_stops_never_starts(self) -> None:
        """No waiting job that matches gets the slot of a running one that was stopped."""
        async with self.bench(concurrency=1) as bench:
            running = await bench.begin()
            waiting = [await bench.put() for _ in range(200)]
            assert await bench.queue.cancel_all() == 201
            await bench.queue.wait(waiting[-1])
            await bench.queue.wait(running.job_id)
            assert [call.job_id for call in bench.calls] == [running.job_id]

    # Figures.

    async def test_stats_are_given_by_job_type_too(self) -> None:
        """For each type of the kept jobs: how many have which status, as the records say."""
        async with self.bench(concurrency=1) as bench:
            await bench.finish(await bench.begin("hold"))
            (await bench.begin("hold")).fail(ValueError())
            await bench.begin("polite")
            await bench.queue.cancel(await bench.put("hold"))
            await bench.put("hold")
            stats = await bench.queue.stats()
            counted = {
                (job_type, status): number
                for job_type, figures in stats.by_type.items()
                for status, number in figures.by_status.items()
                if number
            }
            records = await all_records(bench.queue)
            assert counted == {
                (one.job_type, one.status): sum(
                    (one.job_type, one.status) == (record.job_type, record.status)
                    for record in records
                )
                for one in records
            }
            assert {len(figures.by_status) for figures in stats.by_type.values()} == {6}

    @needs("own_clock")
    async def test_stats_say_how_long_jobs_of_a_type_wait_and_run(self) -> None:
        """The median and the 95th percentile of wait and duration, over the finished jobs."""
        async with self.bench(concurrency=1) as bench:
            for seconds in (3, 5, 40):
                call = await bench.begin("hold")
                waiting = await bench.put("polite")
                await bench.clock.advance(seconds)
                await bench.finish(call)
                await bench.finish(await bench.call(waiting))
            by_type = (await bench.queue.stats()).by_type
            held, polite = by_type["hold"], by_type["polite"]
            for figures, expected in (
                ((held.duration_median_s, held.duration_p95_s, held.wait_median_s), [5, 40, 0]),
                ((polite.wait_median_s, polite.wait_p95_s, polite.duration_p95_s), [5, 40, 0]),
            ):
                assert [round(each or 0.0, 3) for each in figures] == expected

    async def test_stats_of_a_type_that_never_ran_have_no_times(self) -> None:
        """A type whose jobs only wait, or were cancelled before they started, has no figures."""
        async with self.bench(concurrency=1) as bench:
            await bench.begin("hold")
            await bench.queue.cancel(await bench.put("polite"))
            polite = (await bench.queue.stats()).by_type["polite"]
            assert (polite.wait_median_s, polite.duration_p95_s) == (None, None)
            assert (await bench.queue.stats()).by_type.keys() == {"hold", "polite"}
