"""The loop that races are run on: what it may change, and what it never does."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from ..support.races import loop as loop_module
from ..support.races.loop import Choices, ShuffledLoop

ORDERS = st.binary(max_size=12)


def order_of(main: Callable[[list[str]], None], loop: asyncio.AbstractEventLoop) -> list[str]:
    """What *main* and what it leads to write down, on a loop that then is closed."""
    written: list[str] = []

    async def run() -> None:
        main(written)
        for _ in range(6):
            await asyncio.sleep(0)

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return written


def shuffled(order: bytes) -> ShuffledLoop:
    loop = ShuffledLoop()
    loop.choices = Choices(order)
    return loop


def three_chains(written: list[str]) -> None:
    """Three callbacks, each of which registers two more."""
    loop = asyncio.get_running_loop()

    def link(name: str) -> None:
        written.append(name)
        if len(name) == 1:
            loop.call_soon(link, f"{name}1")
            loop.call_soon(link, f"{name}2")

    for name in "abc":
        loop.call_soon(link, name)


def test_without_choices_the_order_is_that_of_asyncio() -> None:
    """A race without an order is run as any event loop would run it."""
    plain = order_of(three_chains, asyncio.SelectorEventLoop())
    assert order_of(three_chains, shuffled(b"")) == plain


@given(order=ORDERS)
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_what_one_callback_registers_stays_in_order(order: bytes) -> None:
    """What asyncio promises is kept, and a round never mixes with the next."""
    written = order_of(three_chains, shuffled(order))
    assert written[:3] == ["a", "b", "c"]
    assert sorted(written) == sorted(["a", "b", "c", "a1", "a2", "b1", "b2", "c1", "c2"])
    for name in "abc":
        assert written.index(f"{name}1") + 1 == written.index(f"{name}2")


def test_who_comes_first_may_be_anybody() -> None:
    """Every order of independent callbacks comes up, and the same choices give the same one."""
    orders = [random.Random(seed).randbytes(8) for seed in range(100)]
    runs = [[order_of(three_chains, shuffled(order)) for order in orders] for _ in range(2)]
    assert runs[0] == runs[1]
    firsts = {tuple(name for name in written if name[1:] == "1") for written in runs[0]}
    assert firsts == set(itertools.permutations(["a1", "b1", "c1"]))


def test_timers_that_are_due_at_once_come_in_any_order() -> None:
    """Of two timers of one moment either may be first."""

    def two_timers(written: list[str]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0, written.append, "a")
        loop.call_later(0, written.append, "b")

    orders = (b"", b"\1", b"\0\1", b"\0\0\1", b"\2\1")
    seen = {tuple(order_of(two_timers, shuffled(order))) for order in orders}
    assert seen == {("a", "b"), ("b", "a")}


def test_a_failure_shrinks_to_the_choices_that_matter() -> None:
    """Hypothesis takes away from a failing order whatever it does not need to fail."""

    def c_before_a(order: bytes) -> bool:
        written = order_of(three_chains, shuffled(order))
        return written.index("c1") < written.index("a1")

    smallest = find(ORDERS, c_before_a, settings=settings(derandomize=True, database=None))
    assert not any(c_before_a(smallest[:end]) for end in range(len(smallest)))
    assert sum(byte > 0 for byte in smallest) == 1


def test_the_word_of_a_thread_is_there_when_it_was_heard() -> None:
    """A thread that is told to speak has spoken when ``hear`` returns, so a race may be rerun."""
    loop, may_speak, heard = ShuffledLoop(), threading.Event(), asyncio.Event()

    def speak() -> None:
        may_speak.wait()
        loop.call_soon_threadsafe(heard.set)

    async def main() -> bool:
        thread = threading.Thread(target=speak)
        thread.start()
        loop.hear(may_speak.set)
        await asyncio.sleep(0)
        thread.join()
        return heard.is_set()

    try:
        assert loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_thread_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A race whose thread does not speak ends, and says so."""
    monkeypatch.setattr(loop_module, "REAL_LIMIT", 0.0)
    loop = ShuffledLoop()
    try:
        with pytest.raises(TimeoutError, match="said too little"):
            loop.hear(lambda: None)
    finally:
        loop.close()
