"""The fake clock: time that only the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from tests.support.loops import ON_UVLOOP, UvloopWithFakeClock, shorten

from stoat_jobs.testing import DeadlockError, FakeClockLoop, run_with_fake_clock
from stoat_jobs.testing._clock import FakeClock
from stoat_jobs.testing._others import REAL_LIMIT


def the_loop() -> FakeClockLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClock)
    return loop  # type: ignore[return-value] # or one with its methods


class Clerk(threading.Thread):
    """A thread that makes one call after the other, as one that writes to a store."""

    def __init__(self, brief: bool) -> None:
        super().__init__(daemon=True)
        self.brief = brief
        self.idle = False
        self.calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()

    def make(self, call: Callable[[], object] | None) -> None:
        """Let it make *call*; it ends with None."""
        self.idle = False
        self.calls.put(call)

    def run(self) -> None:
        self.idle = self.calls.empty()
        while call := self.calls.get():
            call()
            self.idle = True


@contextlib.contextmanager
def a_clerk(brief: bool = True) -> Iterator[Clerk]:
    clerk = Clerk(brief)
    clerk.start()
    try:
        yield clerk
    finally:
        clerk.make(None)
        clerk.join()


BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]
)


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


@BOTH_LOOPS
@pytest.mark.parametrize("speaks", [True, False])
def test_settle_waits_for_short_work_in_threads(loop_factory: Any, speaks: bool) -> None:
    """``settle`` returns once a brief thread is idle and what it said has run."""

    async def main(clerk: Clerk) -> None:
        loop = the_loop()
        for _ in range(20):
            done: list[str] = []

            def work(done: list[str] = done) -> None:
                threading.Event().wait(0.002)  # long for a loop that does not wait
                if speaks:
                    loop.call_soon_threadsafe(done.append, "said")
                done.append("worked")

            clerk.make(work)
            await loop.settle()
            assert sorted(done) == ["said", "worked"][not speaks :]

    with a_clerk() as clerk:
        run_with_fake_clock(main(clerk), loop_factory)


@BOTH_LOOPS
def test_time_does_not_pass_a_thread_that_works_briefly(loop_factory: Any) -> None:
    """``advance`` and ``drive`` move no time while a brief thread works."""

    async def main(clerk: Clerk) -> list[float]:
        loop = the_loop()
        begun, heard = loop.time(), []

        async def ticking() -> None:
            for _ in range(3):
                await asyncio.sleep(1)
                clerk.make(lambda: loop.call_soon_threadsafe(hear))

        def hear() -> None:
            heard.append(round(loop.time() - begun, 6))

        first = asyncio.ensure_future(ticking())
        await loop.advance(10)
        await first
        await loop.drive(ticking())
        await loop.settle()
        return heard

    with a_clerk() as clerk:
        assert run_with_fake_clock(main(clerk), loop_factory) == [1, 2, 3, 11, 12, 13]


@BOTH_LOOPS
def test_a_brief_thread_that_speaks_just_before_it_is_idle_is_heard(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback from a brief thread runs before ``settle`` returns, however late it came."""
    threads_now = threading.enumerate
    go = threading.Event()

    async def main(clerk: Clerk) -> list[str]:
        loop, heard = the_loop(), list[str]()

        def hear(hops: int) -> None:
            if hops:
                loop.call_soon(hear, hops - 1)
            else:
                heard.append("heard")

        def speak() -> None:
            go.wait(10)
            loop.call_soon_threadsafe(hear, 5)

        def threads_once_it_spoke() -> list[threading.Thread]:
            go.set()
            while not clerk.idle:
                threading.Event().wait(0.001)
            return threads_now()

        clerk.make(speak)
        monkeypatch.setattr(threading, "enumerate", threads_once_it_spoke)
        await loop.settle()
        monkeypatch.undo()
        return list(heard)

    with a_clerk() as clerk:
        assert run_with_fake_clock(main(clerk), loop_factory) == ["heard"]


@BOTH_LOOPS
def test_settle_does_not_wait_for_a_handler(loop_factory: Any) -> None:
    """``settle`` returns while a thread works that is not brief, and time may be moved."""

    async def main(clerk: Clerk) -> None:
        gate = threading.Event()
        clerk.make(lambda: gate.wait(10))
        await the_loop().settle()
        await the_loop().advance(5)
        assert not clerk.idle
        gate.set()

    with a_clerk(brief=False) as clerk:
        run_with_fake_clock(main(clerk), loop_factory)


@BOTH_LOOPS
def test_a_brief_thread_that_is_never_idle_is_an_error(
    loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brief thread that works for long fails the test instead of hanging it, and is named."""
    shorten(monkeypatch, 0.05)
    gate = threading.Event()

    async def main(clerk: Clerk) -> None:
        clerk.make(lambda: gate.wait(10))
        await the_loop().settle()

    with a_clerk() as clerk:
        clerk.name = "stuck"
        with pytest.raises(DeadlockError, match="thread stuck is still not idle"):
            run_with_fake_clock(main(clerk), loop_factory)
        gate.set()


@BOTH_LOOPS
def test_much_short_work_is_not_long(loop_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A brief thread may work for long in all, if it is idle or speaks in between."""
    now = [1.0]

    async def main(clerk: Clerk) -> None:
        for _ in range(5):
            monkeypatch.setattr(time, "monotonic", lambda: now[0])
            clerk.make(lambda: threading.Event().wait(0.003))
            await the_loop().settle()
            monkeypatch.undo()
            now[0] += REAL_LIMIT - 1

    with a_clerk() as clerk:
        run_with_fake_clock(main(clerk), loop_factory)


@BOTH_LOOPS
def test_an_idle_brief_thread_is_no_hope(loop_factory: Any) -> None:
    """A deadlock is an error at once even if there is a brief thread, which is idle."""

    async def main(clerk: Clerk) -> None:
        clerk.make(lambda: None)
        await the_loop().create_future()

    with a_clerk() as clerk, pytest.raises(DeadlockError, match="main, line"):
        run_with_fake_clock(main(clerk), loop_factory)


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
