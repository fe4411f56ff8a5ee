"""A queue's time never goes back."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone

import pytest

from stoat_jobs._clock import Clock, as_datetime
from stoat_jobs.testing._clock import FakeClockLoop, run_with_fake_clock


def test_stamp_before_any_loop_is_the_wall_clock() -> None:
    """A queue that no loop runs yet stamps with the wall clock's time."""
    before = time.time()
    stamp = Clock().stamp()
    assert before - 1 < stamp < time.time() + 1


def test_stamps_follow_the_loops_time() -> None:
    """Ages are differences of stamps, so a loop with a fake clock drives them exactly."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FakeClockLoop)
        clock = Clock()
        clock.attach(loop)
        first = clock.stamp()
        loop.jump(3600)
        assert clock.stamp() - first == pytest.approx(3600)
        assert clock.now() == loop.time()

    run_with_fake_clock(main())


def test_stamps_do_not_go_back_with_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock may step back while a queue runs, and between two runs of it."""
    clock = Clock()
    first, second = FakeClockLoop(), FakeClockLoop()
    try:
        clock.attach(first)
        before = clock.stamp()
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert clock.stamp() == before
        clock.attach(second)
        assert clock.stamp() >= before
    finally:
        first.close()
        second.close()


class ForeignLoop(asyncio.AbstractEventLoop):
    """Has a time of its own."""

    def time(self) -> float:
        return 5.0


def test_a_loop_with_a_time_of_its_own_is_asked() -> None:
    """A loop whose time is not the monotonic clock's decides what time it is."""
    clock = Clock()
    clock.attach(ForeignLoop())  # type: ignore[abstract]
    assert clock.now() == 5.0


def test_as_datetime_is_aware_utc() -> None:
    """A stamp becomes an aware UTC time, and none stays none."""
    moment = as_datetime(1.5)
    assert moment == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=timezone.utc)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)
    assert as_datetime(None) is None
