"""The thread that asks the event loop for a sign of life, one look at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stoat_jobs import AsyncioJobQueue, JobQueueSettings
from stoat_jobs._backends._watchdog import Watchdog, _where
from stoat_jobs._execution import JobRun

HANG = 30.0
"""Real seconds after which what should have ended is taken to hang."""


class Looking(Watchdog):
    """Writes down what it would have logged."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        super().__init__(loop, {}, limit)
        self.named: list[float] = []

    def _name(self, run: JobRun | None, seconds: float) -> None:
        self.named.append(seconds)


class StopsAtTheThirdLook(threading.Event):
    looks = 0

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks >= 3


async def test_a_loop_that_answers_is_not_named() -> None:
    """A sign of life within the limit is all that is wanted."""
    dog = Looking(asyncio.get_running_loop(), HANG)
    await asyncio.to_thread(dog._look)
    assert dog.named == []


def test_a_loop_that_is_held_is_named_once() -> None:
    """However long it is held, one line says so; and the watch ends when the queue does."""
    loop = asyncio.new_event_loop()  # it does not run, so it cannot answer
    dog = Looking(loop, 0.001)
    stopping = dog._stopping = StopsAtTheThirdLook()
    look = threading.Thread(target=dog._look, daemon=True)
    look.start()
    look.join(HANG)
    loop.close()
    assert not look.is_alive()
    assert (len(dog.named), stopping.looks) == (1, 3)


def test_a_thread_without_a_frame_is_nowhere() -> None:
    """A loop whose thread is gone has no line to show."""
    assert _where(None) == "unknown"


@pytest.mark.parametrize(("limit", "watched"), [(0, False), (10, True)], ids=["off", "on"])
async def test_a_limit_of_0_turns_the_watch_off(limit: float, watched: bool) -> None:
    """There is one thread that watches, while the queue is open, and none where nobody wants it."""
    settings = JobQueueSettings(loop_block_limit=limit)
    before = threading.enumerate()
    async with AsyncioJobQueue(settings=settings):
        names = [each.name for each in threading.enumerate() if each not in before]
    assert names == ["stoat-jobs watchdog"] * watched
