"""The figures of job types: from the records, and for many jobs not more often than needed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._backends import type_counts
from stoat_jobs.backends import type_stats
from stoat_jobs.testing import run_with_fake_clock

from ..support.turns import App, Run, Ticker


@pytest.mark.parametrize(
    ("percent", "numbers", "expected"),
    [
        (50, [], None),
        (50, [1.0], 1.0),
        (95, [1.0], 1.0),
        (50, [1.0, 2.0], 1.0),
        (50, [1.0, 2.0, 3.0], 2.0),
        (95, [float(n) for n in range(1, 101)], 95.0),
        (95, [float(n) for n in range(1, 22)], 20.0),
    ],
)
def test_a_percentile_is_a_value_that_occurred(
    percent: int, numbers: list[float], expected: float | None
) -> None:
    """It is the smallest value that so many percent of all do not exceed."""
    assert type_counts._percentile(numbers, percent) == expected


def test_records_give_the_figures_that_the_queue_gives() -> None:
    """An author of a backend gets them with `type_stats`, of the records alone."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            app.handlers.register("also", app.noop)
            await app.run_jobs(queue, 3)
            await queue.cancel(await queue.submit("noop"))
            await queue.wait(await queue.submit("also"))
            records = await queue.list_jobs()
            assert type_stats(records) == (await queue.stats()).by_type
            assert list(type_stats(reversed(records))) == ["also", "noop"]

    run_with_fake_clock(main())


def test_records_say_from_when_on_a_job_waited_and_how_long_it_ran() -> None:
    """A wait begins when the job is due, is never negative, and ends with the start."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def record(status: str, *times: int | None) -> JobResult[Any]:
        names = ("not_before", "started_at", "finished_at")
        said = {
            name: None if seconds is None else start + timedelta(seconds=seconds)
            for name, seconds in zip(names, times)
        }
        known = {"job_id": "1", "job_type": "t", "submitted_at": start}
        return JobResult.model_validate({**known, "status": status, **said})

    records = [
        record("pending", 9, None, None),
        record("cancelled", 1, None, 3),
        record("running", 1, 4, None),
        record("completed", 5, 7, 10),
        record("failed", 5, 4, 5),
        record("failed", 5, 4, 5),
        record("completed", None, 6, 8),
    ]
    stats = type_stats(records)["t"]
    assert (stats.wait_median_s, stats.wait_p95_s) == (0, 6)
    assert (stats.duration_median_s, stats.duration_p95_s) == (1, 3)
    assert (stats.by_status[JobStatus.COMPLETED], stats.by_status[JobStatus.TIMEOUT]) == (2, 0)


def test_the_figures_of_few_jobs_are_of_this_moment() -> None:
    """What has just finished is in them, however often they are asked for."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            for number in range(1, 4):
                await app.run_jobs(queue, 1)
                by_type = (await queue.stats()).by_type
                assert by_type["noop"].by_status[JobStatus.COMPLETED] == number

    run_with_fake_clock(main())


def test_the_figures_of_many_jobs_are_made_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again within a second gets the same, and later new ones."""
    app = App()
    monkeypatch.setattr(type_counts, "_ALWAYS_FRESH", 3)

    async def main() -> None:
        async with app.queue() as queue:
            await app.run_jobs(queue, 4)

            async def completed() -> int:
                return (await queue.stats()).by_type["noop"].by_status[JobStatus.COMPLETED]

            assert await completed() == 4
            await app.run_jobs(queue, 1)
            assert await completed() == 4
            loop: Any = asyncio.get_running_loop()
            await loop.advance(1.0)
            assert await completed() == 5

    run_with_fake_clock(main())


def test_counting_many_jobs_gives_up_turns(run: Run) -> None:
    """Other tasks have a turn after each thousand jobs."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            await app.run_jobs(queue, 4_000)
            ticker = Ticker()
            stats = await ticker.during(queue.stats())
            assert stats.by_type["noop"].by_status[JobStatus.COMPLETED] == 4_000
            assert ticker.turns >= 3

    run(main())
