"""The thread that asks the event loop for a sign of life, one look at a time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from stoat_jobs import AsyncioJobQueue, JobQueueSettings
from stoat_jobs._backends.loop_watchdog import Watchdog, _where

from ..support import SAFETY_NET
from ..support.listening import listening


class Listener(logging.Handler):
    """Writes down what a watch logs."""

    def __init__(self) -> None:
        super().__init__()
        self.named = threading.Event()
        self.told: list[tuple[str, float]] = []
        self.jobs: list[tuple[str | None, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append((record.getMessage(), record.duration_s))  # type: ignore[attr-defined]
        self.jobs.append((record.job_id, record.job_type))  # type: ignore[attr-defined]
        self.named.set()


@pytest.fixture
def heard() -> Iterator[Listener]:
    with listening(Listener()) as listener:
        yield listener


class StopsAtTheThirdLook(threading.Event):
    looks = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.timeout = timeout
        return self.is_set()

    def is_set(self) -> bool:
        self.looks += 1
        return self.looks >= 3


async def test_a_loop_that_answers_is_not_named(heard: Listener) -> None:
    """A sign of life within the limit is all that is wanted."""
    dog = Watchdog(asyncio.get_running_loop(), {}, SAFETY_NET)
    await asyncio.to_thread(dog._look)
    assert heard.told == []


def test_a_loop_that_is_held_is_named_once(heard: Listener) -> None:
    """However long it is held, one line says so; and the watch ends when the queue does."""
    loop = asyncio.new_event_loop()  # it does not run, so it cannot answer
    dog = Watchdog(loop, {}, 0.001)
    stopping = dog._stopping = StopsAtTheThirdLook()
    look = threading.Thread(target=dog._look, daemon=True)
    look.start()
    look.join(SAFETY_NET)
    loop.close()
    assert not look.is_alive()
    assert ([event for event, _ in heard.told], stopping.looks) == (["loop_blocked"], 3)


def test_how_long_the_loop_was_held_is_told_when_it_is_free(heard: Listener) -> None:
    """The first line comes while it is held, and cannot know; a second one does."""
    loop = asyncio.new_event_loop()
    dog = Watchdog(loop, {}, 0.001)
    look = threading.Thread(target=dog._look, daemon=True)
    look.start()
    assert heard.named.wait(SAFETY_NET)
    loop.run_until_complete(asyncio.sleep(0))
    look.join(SAFETY_NET)
    loop.close()
    (first, begun), (last, whole) = heard.told
    assert (first, last) == ("loop_blocked", "loop_free")
    assert heard.jobs == [(None, None)] * 2  # it is no job's turn, and both lines say so
    assert 0.001 <= begun < whole < SAFETY_NET


def test_no_block_falls_between_two_looks(heard: Listener) -> None:
    """The loop is looked at several times in the time of the limit, and while jobs run alone."""
    loop = asyncio.new_event_loop()
    dog = Watchdog(loop, {}, 8.0)
    stopping = dog._stopping = StopsAtTheThirdLook()
    dog._main()
    loop.close()
    assert (stopping.looks, stopping.timeout, heard.told) == (3, 1.0, [])


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
