"""An event loop whose order within a round is chosen, so that a race can be run again.

Kept is what asyncio promises: callbacks that one callback has registered run in that order,
and those of a round before those of the next. Chosen is what depends on who comes first:
the order of callbacks registered by different callbacks, of timers that are due at once, of
words from threads, and of all these among each other. A real loop would need another history
for some of these orders; whatever leads to them, the queue shall not mind.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, TypeVarTuple

from stoat_jobs.testing import FakeClockLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

REAL_LIMIT = 20.0
"""Real seconds that a thread may take to say a word."""


class Choices:
    """What is decided in one round of a race, read from bytes.

    Used up, it is always the first: the fewer bytes, the plainer the round.
    """

    def __init__(self, text: bytes = b"") -> None:
        self.text = text
        self._left = iter(text)

    def below(self, number: int) -> int:
        """A number from 0 to *number*, which is excluded."""
        return next(self._left, 0) % number

    def one(self, alternatives: Sequence[T]) -> T:
        """One of *alternatives*."""
        return alternatives[self.below(len(alternatives))]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """All *things*, in any order."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in things]


class _Ready(deque[asyncio.Handle]):
    """What is ready to run, in blocks that keep their order inside."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = Choices()
        self.between_rounds = True
        self.new_block = True
        self._blocks: list[list[asyncio.Handle]] = []

    def append(self, handle: asyncio.Handle) -> None:
        super().append(handle)
        if self.new_block or self.between_rounds:
            self._blocks.append([])
            self.new_block = False
        self._blocks[-1].append(handle)

    def popleft(self) -> asyncio.Handle:
        if self.between_rounds:
            self._deal()
        self.new_block = True
        return super().popleft()

    def _deal(self) -> None:
        self.between_rounds = False
        blocks, self._blocks = self._blocks, []
        if len(blocks) > 1:
            super().clear()
            for block in self.choices.shuffled(blocks):
                super().extend(block)


class ShuffledLoop(FakeClockLoop):
    """A loop of the kit whose ``choices`` say in which order a round's callbacks run."""

    def __init__(self) -> None:
        super().__init__()
        self._ready = self._order = _Ready()
        self.thread = threading.current_thread()
        self._words = 0
        self._said = threading.Condition()

    @property
    def choices(self) -> Choices:
        return self._order.choices

    @choices.setter
    def choices(self, choices: Choices) -> None:
        self._order.choices = choices

    def _run_once(self) -> None:
        self._order.between_rounds = True
        super()._run_once()  # type: ignore[misc]

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        with self._said:  # so that no word is there before it counts
            self._order.new_block = True
            handle = super().call_soon_threadsafe(callback, *args, context=context)
            self._order.new_block = True
            if threading.current_thread() is not self.thread:
                self._words += 1
                self._said.notify_all()
        return handle

    def hear(self, cause: Callable[[], Any], words: int = 1) -> None:
        """Let *cause* make a thread say so many *words* to the loop, and hold the loop until then."""
        with self._said:
            heard = self._words + words
        cause()
        with self._said:
            if not self._said.wait_for(lambda: self._words >= heard, REAL_LIMIT):
                raise TimeoutError("a thread said too little")
