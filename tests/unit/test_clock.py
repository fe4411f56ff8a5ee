"""A queue's time never goes back."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from stoat_jobs.backends import Clock, as_datetime
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock


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
    assert moment == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)
    assert as_datetime(None) is None


def set_wall_clock(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Let the wall clock be *step* seconds from where it would be."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + step)


@pytest.mark.parametrize("step", [1.5, 3600.0, 400 * 86400.0])
def test_stamps_follow_a_wall_clock_that_is_set_forwards__fault_64(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NTP sets the clock, or a laptop wakes up: what comes later has the right time."""
    clock = Clock()
    age = clock.age()
    set_wall_clock(monkeypatch, step)
    assert abs(clock.stamp() - time.time()) < 1
    assert clock.age() - age < 1
    assert clock.stamp() - clock.age() == pytest.approx(step, abs=1)


def test_a_wall_clock_that_is_a_little_off_is_left__fault_64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to a second of difference moves no stamp."""
    clock = Clock()
    set_wall_clock(monkeypatch, 0.5)
    clock.stamp()
    assert clock.shift == 0


def test_each_step_forwards_is_followed_and_none_back__fault_64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stamps wait for a wall clock that went back; then they go on with it."""
    clock, stamps = Clock(), []
    for step in (3600.0, -7200.0, 7200.0, 10.0, 50.0):
        set_wall_clock(monkeypatch, step)
        stamps.append(clock.stamp())
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time()) < 1
    assert stamps[-2] - stamps[0] == pytest.approx(10, abs=1)


def test_a_fake_clock_is_not_set_by_the_time_that_passes__fault_64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long a test on a fake clock really takes, its loop decides what time it is."""
    wall, monotonic = time.time(), time.monotonic()
    loop = FakeClockLoop()
    try:
        clock = Clock()
        clock.attach(loop)
        first = clock.stamp()
        monkeypatch.setattr(time, "time", lambda: wall + 100)
        monkeypatch.setattr(time, "monotonic", lambda: monotonic + 100)
        assert clock.stamp() == first
        loop.jump(5)
        assert clock.stamp() - first == pytest.approx(5)
        monkeypatch.setattr(time, "time", lambda: wall + 3700)
        assert clock.stamp() - first == pytest.approx(3605, abs=1)
    finally:
        loop.close()


def test_a_wall_clock_that_follows_the_fake_one_is_not_followed_twice__fault_64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test may drive both clocks: then neither is ahead of the other."""
    loop = FakeClockLoop()
    try:
        clock = Clock()
        clock.attach(loop)
        first, started = clock.stamp(), loop.time()
        monkeypatch.setattr(time, "time", lambda: first + loop.time() - started)
        loop.jump(3600)
        assert clock.stamp() - first == pytest.approx(3600)
    finally:
        loop.close()


def test_what_was_set_forwards_stays_in_another_loop__fault_64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A queue that is entered again goes on with its times and ages."""
    clock = Clock()
    set_wall_clock(monkeypatch, 3600.0)
    stamp, age = clock.stamp(), clock.age()
    clock.attach(ForeignLoop())  # type: ignore[abstract]
    assert 0 <= clock.stamp() - stamp < 1
    assert 0 <= clock.age() - age < 1
