"""One timer serves many jobs, and goes on serving them whatever one of them does."""

from __future__ import annotations

import asyncio
import math

import pytest

from stoat_jobs.backends import Deadlines
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock
from stoat_jobs.testing._clock import fake_clock_loop


class Run:
    """Has a deadline, and may raise when it passes."""

    deadline = 0.0

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.told = 0

    def deadline_passed(self) -> None:
        self.told += 1
        if self.error is not None:
            raise self.error


def test_one_that_raises_keeps_no_other_from_its_deadline__fault_55() -> None:
    """The loop's exception handler hears of it, and those of the same limit are told in time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        deadlines = Deadlines(loop, loop.time)
        runs = [Run(), Run(RuntimeError("hostile")), Run()]
        for run in runs:
            deadlines.add(run, 10)
        await loop.advance(5)
        later = Run()
        deadlines.add(later, 10)
        await loop.advance(5)
        assert [run.told for run in (*runs, later)] == [1, 1, 1, 0]
        await loop.advance(5)
        assert later.told == 1
        assert [str(each["exception"]) for each in loop.errors] == ["hostile"]
        loop.errors.clear()

    run_with_fake_clock(main())


def test_a_ctrl_c_in_the_middle_leaves_the_rest_their_deadline__fault_55() -> None:
    """It passes through, and whoever was not told yet is told in the next turn."""
    with fake_clock_loop() as loop:
        deadlines = Deadlines(loop, loop.time)
        interrupted, rest = Run(KeyboardInterrupt()), Run()
        deadlines.add(interrupted, 10)
        deadlines.add(rest, 10)
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(loop.advance(10))
        interrupted.error = None
        loop.run_until_complete(loop.settle())
        assert rest.told == 1


def test_what_ends_while_it_is_told_is_forgotten__fault_55() -> None:
    """A job that is settled at once by its deadline takes itself off the list, with its group."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        deadlines = Deadlines(loop, loop.time)

        class Ending(Run):
            def deadline_passed(self) -> None:
                super().deadline_passed()
                del watched[self]
                deadlines.close()

        run = Ending()
        watched = deadlines.add(run, 10)
        await loop.advance(20)
        assert (run.told, loop.next_timer()) == (1, math.inf)

    run_with_fake_clock(main())
