"""Reading or dropping many records gives up turns of the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import JobBackend, JobStatus
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock
from ..support.turns import App, Run, Ticker


class Busy(Ticker):
    """Submits a job in each of its turns, so that records are dropped."""

    def __init__(self, queue: JobBackend) -> None:
        self._queue = queue

    async def tick(self) -> None:
        await self._queue.submit("noop")


@pytest.mark.parametrize(
    ("filters", "most"),
    [
        ({"limit": 1_000}, 110),
        ({"limit": 1_000, "job_type": "noop"}, 110),
        ({"status": JobStatus.FAILED}, 1_000),
        ({"job_type": ["other", "another"]}, 1_000),
        ({"metadata": {"user": "ada"}}, 1_000),
    ],
    ids=["all", "all of a type", "none of a status", "none of some types", "none by metadata"],
)
def test_a_long_list_gives_up_turns(run: Run, filters: dict[str, Any], most: int) -> None:
    """Another task has its turn after 110 records were made, or 1,000 jobs were looked at."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            await app.run_jobs(queue, 6_000)
            ticker = Ticker()
            found = await ticker.during(queue.list_jobs(**filters))
            assert ticker.turns >= (len(found) or 6_000) // most - 2

    run(main())


@pytest.mark.parametrize("filters", [{}, {"job_type": "noop"}], ids=["all", "of a type"])
def test_what_changes_during_a_long_list_leaves_it_whole(run: Run, filters: dict[str, Any]) -> None:
    """It has what was kept at the call, each job once, though others come and some are dropped."""
    app = App()

    async def main() -> None:
        async with app.queue(max_results=1_000) as queue:
            ids = await app.run_jobs(queue, 1_000)
            ticker = Busy(queue)
            found = await ticker.during(queue.list_jobs(limit=1_000, **filters))
            assert ticker.turns > 5
            assert [record.job_id for record in found] == ids[::-1]

    run(main())


def test_a_short_list_gives_up_no_turn(run: Run) -> None:
    """The newest hundred of many cost what they cost without the others."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            ids = await app.run_jobs(queue, 3_000)
            ticker = Ticker()
            found = await ticker.during(queue.list_jobs(limit=100))
            assert (ticker.turns, [record.job_id for record in found]) == (0, ids[:-101:-1])

    run(main())


@pytest.mark.parametrize(
    "make_loop", [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]
)
def test_many_that_are_too_old_at_once_are_dropped_a_part_a_turn(make_loop: Any) -> None:
    """As after a loop that was blocked: all are dropped, and others have their turns."""
    app = App()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with app.queue(result_ttl=10) as queue:
            await app.run_jobs(queue, 1_000)
            loop.jump(10.0)
            kept: list[int] = []
            while not kept or kept[-1]:
                kept.append(len(queue._index.retention))
                await asyncio.sleep(0)
            assert len(kept) >= 10

    run_with_fake_clock(main(), make_loop)
