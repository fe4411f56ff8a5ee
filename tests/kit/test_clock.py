"""The fake clock: time that only the test moves."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stoat_jobs.testing import DeadlockError, FakeClockLoop, run_with_fake_clock


def the_loop() -> FakeClockLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClockLoop)
    return loop


def test_time_stands_still_until_it_is_moved() -> None:
    """Only ``advance`` and ``jump`` move the time, by exactly what they are told."""

    async def main() -> list[float]:
        loop = the_loop()
        times = [loop.time()]
        for _ in range(100):
            await asyncio.sleep(0)
        times.append(loop.time())
        await loop.advance(2.5)
        times.append(loop.time())
        loop.jump(1.5)
        times.append(loop.time())
        return [time - times[0] for time in times]

    assert run_with_fake_clock(main()) == [0.0, 0.0, 2.5, 4.0]


def test_advance_walks_from_timer_to_timer() -> None:
    """Timers fire in order, each at its own time, even if another timer has set them."""

    async def main() -> list[tuple[str, float]]:
        loop, fired = the_loop(), []
        begun = loop.time()

        async def tick(name: str, *delays: float) -> None:
            for delay in delays:
                await asyncio.sleep(delay)
                fired.append((name, round(loop.time() - begun, 6)))

        ticking = [asyncio.ensure_future(tick("a", 3, 3)), asyncio.ensure_future(tick("b", 1, 4))]
        await loop.advance(5.5)
        assert not ticking[0].done()
        await loop.advance(0.5)
        assert ticking[0].done()
        return fired

    assert run_with_fake_clock(main()) == [("b", 1), ("a", 3), ("b", 5), ("a", 6)]


def test_settle_returns_when_nothing_is_ready() -> None:
    """``settle`` returns after a chain of callbacks, however long it is."""

    async def main() -> int:
        done = 0

        async def chain(depth: int) -> None:
            nonlocal done
            if depth:
                await asyncio.ensure_future(chain(depth - 1))
            done += 1

        asyncio.ensure_future(chain(300))
        await the_loop().settle()
        return done

    assert run_with_fake_clock(main()) == 301


def test_drive_moves_time_as_far_as_needed() -> None:
    """``drive`` returns the value of what it awaits, and lets no more time pass."""

    async def main() -> tuple[str, float]:
        loop = the_loop()
        begun = loop.time()
        later = asyncio.ensure_future(asyncio.sleep(1000))
        value = await loop.drive(asyncio.sleep(60, "done"))
        assert not later.done()
        return value, round(loop.time() - begun, 6)

    assert run_with_fake_clock(main()) == ("done", 60)


def test_a_cancelled_timer_is_passed_over() -> None:
    """A cancelled timer neither fires nor stops the clock."""

    async def main() -> None:
        loop = the_loop()
        timer = loop.call_later(5, pytest.fail, "a cancelled timer fired")
        timer.cancel()
        assert loop.next_timer() == float("inf")
        await loop.advance(10)

    run_with_fake_clock(main())


def test_the_loop_waits_for_a_thread() -> None:
    """The result of a thread is awaited in real time, while the fake clock stands still."""

    async def main() -> tuple[str, float]:
        loop = the_loop()
        begun = loop.time()
        gate: asyncio.Future[str] = loop.create_future()
        threading.Thread(
            target=lambda: loop.call_soon_threadsafe(gate.set_result, "handed over")
        ).start()
        assert await asyncio.to_thread(threading.active_count) > 1
        return await gate, loop.time() - begun

    assert run_with_fake_clock(main()) == ("handed over", 0.0)


def test_a_thread_that_ends_while_the_loop_looks_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback from a thread is run even if the thread ended after the loop found nothing."""
    threads_now = threading.enumerate
    go = threading.Event()

    async def main() -> str:
        gate: asyncio.Future[str] = the_loop().create_future()

        def speak() -> None:
            go.wait()
            gate.get_loop().call_soon_threadsafe(gate.set_result, "heard")

        def threads_once_it_ended() -> list[threading.Thread]:
            go.set()
            speaker.join()
            return threads_now()

        speaker = threading.Thread(target=speak)
        speaker.start()
        monkeypatch.setattr(threading, "enumerate", threads_once_it_ended)
        return await gate

    assert run_with_fake_clock(main()) == "heard"


@pytest.mark.parametrize("timer", [False, True])
def test_a_deadlock_is_an_error_that_says_where(timer: bool) -> None:
    """A test that waits for something that can never happen fails at once and names the place."""

    async def main() -> None:
        await (asyncio.sleep(60) if timer else the_loop().create_future())

    with pytest.raises(DeadlockError, match="main, line"):
        run_with_fake_clock(main())


def test_a_loop_that_is_never_idle_is_an_error() -> None:
    """A callback that always schedules itself again fails the test instead of hanging it."""

    async def main() -> None:
        def again() -> None:
            the_loop().call_soon(again)

        again()
        await the_loop().settle()

    with pytest.raises(DeadlockError, match="still busy"):
        run_with_fake_clock(main())


def test_an_error_that_nobody_caught_fails_the_run() -> None:
    """An error that asyncio would only log fails the test."""

    async def main() -> None:
        the_loop().call_soon(lambda: 1 / 0)
        await the_loop().settle()

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_with_fake_clock(main())


def test_what_is_left_over_is_cancelled() -> None:
    """Tasks that the test left behind are cancelled, as ``asyncio.run`` does."""
    ended: list[bool] = []

    async def left_behind() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def main() -> None:
        asyncio.ensure_future(left_behind())
        await the_loop().settle()

    run_with_fake_clock(main())
    assert ended == [True]
