"""The thread that writes into a store: what it writes together, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import pytest

from stoat_jobs._stored.brief_thread import BriefThread
from stoat_jobs._stored.writer import StoreWriter
from stoat_jobs.backends import StoredJob
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support.stored_jobs import stored_job

FULL = OSError("disk full")


class Recording:
    """A store that records its writes, and fails for some jobs or for all."""

    def __init__(self) -> None:
        self.writes: list[list[int]] = []
        self.gone: list[str] = []
        self.refused: set[int] = set()
        self.fails = False
        self.tries = 0
        self.gate = threading.Event()
        self.gate.set()

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        self.gate.wait(20)
        self.tries += 1
        numbers = [job.number for job in [*changed, *new]]
        if self.fails or not self.refused.isdisjoint(numbers):
            raise FULL
        self.writes.append(numbers)
        self.gone += gone


class Desk:
    """A writer, its store, and what it has told."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        assert isinstance(self.loop, FakeClockLoop)
        self.store = Recording()
        self.thread = BriefThread("writes")
        self.thread.start()
        self.writer = StoreWriter("text", self.store, self.thread, self.loop)  # type: ignore[arg-type]
        self.told: list[tuple[int, Exception | None]] = []

    def add(self, *numbers: int) -> None:
        told = partial(self._told, numbers[0])
        self.writer.add([stored_job(number) for number in numbers], told)

    def save(self, number: int, job: StoredJob | None = None) -> StoredJob:
        job = job or stored_job(number)
        self.writer.save(job.model_copy(update={"number": number}), lambda: self._told(number))
        return job

    def _told(self, number: int, error: Exception | None = None) -> None:
        self.told.append((number, error))

    def end(self) -> None:
        self.store.gate.set()
        self.thread.end()
        self.thread.join()


def at_desk(test: Callable[[Desk, FakeClockLoop], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        desk = Desk()
        try:
            await test(desk, desk.loop)  # type: ignore[arg-type]
        finally:
            desk.end()

    run_with_fake_clock(main())


def test_what_comes_during_a_write_is_the_next_one() -> None:
    """A hundred callers share a write, and are told in their order."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        desk.add(1)
        await asyncio.sleep(0)
        for number in range(2, 101):
            desk.add(number)
        desk.save(101)
        desk.store.gate.set()
        await loop.settle()
        assert desk.store.writes == [[1], [101, *range(2, 101)]]
        assert desk.told == [(number, None) for number in (1, 101, *range(2, 101))]

    at_desk(test)


def test_what_comes_in_one_turn_of_the_event_loop_is_one_write() -> None:
    """So the end of a job and the start of the next one cost one commit."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.save(1)
        desk.save(2)
        desk.add(3)
        await loop.settle()
        assert desk.store.writes == [[1, 2, 3]]

    at_desk(test)


def test_many_are_told_in_several_turns() -> None:
    """Who cancels thousands does not hold the event loop with what they all log."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        desk.add(0)
        await asyncio.sleep(0)
        jobs = [desk.save(number) for number in range(1, 1001)]
        waiting = asyncio.ensure_future(desk.writer.attempted(jobs[-1].job_id))
        desk.store.gate.set()
        seen = set()
        while not waiting.done():
            seen.add(len(desk.told))
            await asyncio.sleep(0)
        assert len(desk.told) == 1001
        assert len(seen) >= 20

    at_desk(test)


def test_only_the_last_change_of_a_job_is_written() -> None:
    """Whoever waited for an earlier one is told with it, in their order."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        desk.add(1)
        await asyncio.sleep(0)
        job = desk.save(2)
        desk.save(3, job)
        desk.writer.drop(job.job_id, lambda: desk.told.append((4, None)))
        desk.store.gate.set()
        await loop.settle()
        assert (desk.store.writes, desk.store.gone) == ([[1], []], [job.job_id])
        assert desk.told == [(number, None) for number in (1, 2, 3, 4)]

    at_desk(test)


def test_one_job_that_cannot_be_written_holds_up_no_other() -> None:
    """The others of its write are written without it, and it alone is refused."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.refused = {3}
        desk.store.gate.clear()
        desk.add(1)
        await asyncio.sleep(0)
        for number in range(2, 6):
            desk.add(number)
        desk.store.gate.set()
        await loop.settle()
        assert desk.store.writes == [[1], [2], [4], [5]]
        assert desk.told == [(1, None), (2, None), (3, FULL), (4, None), (5, None)]

    at_desk(test)


def test_a_store_that_fails_is_not_tried_for_each_job() -> None:
    """After two that fail by themselves, the rest is refused or kept without a try."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.fails = True
        desk.add(1)
        await asyncio.sleep(0)
        for number in range(2, 101):
            desk.add(number)
        await loop.settle()
        assert desk.told == [(number, FULL) for number in range(1, 101)]
        assert desk.store.tries == 1 + 1 + 2

    at_desk(test)


def test_a_change_is_tried_again_until_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    """At growing distances up to a second; the log has a line at the begin and one at the end."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.fails = True
        desk.save(1)
        await loop.settle()
        times = []
        for _ in range(40):
            tries = desk.store.tries
            await loop.advance(0.1)
            if desk.store.tries > tries:
                times.append(round(loop.time() - 1000, 1))
        assert times == [0.1, 0.3, 0.7, 1.5, 2.5, 3.5]
        assert desk.told == []
        desk.store.fails = False
        await loop.advance(1)
        assert (desk.store.writes, desk.told) == ([[1]], [(1, None)])

    with caplog.at_level(logging.INFO, "stoat_jobs"):
        at_desk(test)
    lines = [(record.getMessage(), getattr(record, "error", None)) for record in caplog.records]
    assert lines == [("store_failed", "disk full"), ("store_recovered", None)]


def test_a_new_job_tries_a_store_that_failed_at_once() -> None:
    """It is accepted as soon as the store works, and so are the changes that waited."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.fails = True
        desk.save(1)
        desk.add(2)
        await loop.settle()
        assert desk.told == [(2, FULL)]
        desk.store.fails = False
        desk.add(3)
        await loop.settle()
        assert desk.told[1:] == [(1, None), (3, None)]

    at_desk(test)


def test_a_newer_change_replaces_one_that_failed() -> None:
    """Whoever waited for either is told when the newer one is written."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.fails = True
        job = desk.save(1)
        await loop.settle()
        desk.store.gate.clear()
        await loop.advance(0)
        desk.save(2, job)
        desk.store.fails = False
        desk.store.gate.set()
        await loop.advance(1)
        assert desk.store.writes == [[2]]
        assert desk.told == [(1, None), (2, None)]

    at_desk(test)


def test_one_who_raises_when_told_keeps_nobody_else_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error is logged, and the next one is told."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.writer.save(stored_job(1), lambda: 1 / 0)  # type: ignore[arg-type]
        desk.save(2)
        await loop.settle()
        assert desk.told == [(2, None)]

    at_desk(test)
    assert "ZeroDivisionError" in caplog.text


def test_waiting_for_a_change_ends_when_the_store_fails() -> None:
    """Who cancels a job on a full disk is not kept waiting until there is room."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        job = desk.save(1)
        waits = [
            asyncio.ensure_future(wait)
            for wait in (desk.writer.attempted(job.job_id), desk.writer.all_attempted())
        ]
        await asyncio.sleep(0)
        assert not any(wait.done() for wait in waits)
        desk.store.fails = True
        desk.store.gate.set()
        await loop.settle()
        assert all(wait.done() for wait in waits)
        assert not desk.writer.is_idle

    at_desk(test)


def test_close_writes_what_waits() -> None:
    """Without the event loop: the write that is under way, and what came meanwhile."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.add(1)
        await asyncio.sleep(0)
        desk.save(2)
        desk.writer.close(20)
        assert desk.store.writes == [[1], [2]]
        assert desk.told == [(1, None), (2, None)]
        await loop.settle()
        assert len(desk.told) == 2

    at_desk(test)


def test_close_does_not_wait_for_a_store_that_hangs() -> None:
    """What it has not written by then is never told, also if it is written later."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        desk.add(1)
        await asyncio.sleep(0)
        desk.save(2)
        desk.writer.close(0.001)
        desk.store.gate.set()
        await loop.settle()
        assert (desk.told, desk.store.writes) == ([], [[1]])

    at_desk(test)


def test_who_waits_for_a_store_that_hangs_is_let_go_by_close() -> None:
    """A cancel that waits for its commit does not outlast the queue."""

    async def test(desk: Desk, loop: FakeClockLoop) -> None:
        desk.store.gate.clear()
        job = desk.save(1)
        waiting = asyncio.ensure_future(desk.writer.attempted(job.job_id))
        await asyncio.sleep(0)
        desk.writer.close(0.001)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done()
        desk.store.gate.set()

    at_desk(test)
