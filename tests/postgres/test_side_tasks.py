"""What a queue does beside its jobs is begun again, whatever happens to it."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest

from stoat_jobs._postgres.side_tasks import SideTask
from stoat_jobs.testing import run_with_fake_clock

from ..support.loops import BareLoop
from .fake_clock import clock, on_a_fake_clock


class Steps:
    """Steps that note when they began, and end as the test says."""

    def __init__(self, pause: float = 10.0, longest_pause: float = 2.0) -> None:
        self.times: list[float] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.pause = pause
        self.task = SideTask("steps", self.step, longest_pause)
        self.began = clock().time()
        self.task.start()

    async def step(self) -> float:
        self.times.append(clock().time() - self.began)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.pause


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@on_a_fake_clock
async def test_steps_come_at_their_times_and_when_woken() -> None:
    """A step is done again after its pause, or at once when it is woken."""
    steps = Steps(pause=10.0)
    await clock().advance(15)
    assert steps.times == [0, 10]
    steps.task.wake()
    steps.task.wake()
    await clock().settle()
    assert steps.times == [0, 10, 15]
    await clock().advance(10)
    assert steps.times == [0, 10, 15, 25]
    await steps.task.close()


@on_a_fake_clock
async def test_who_wakes_it_during_a_step_gets_another() -> None:
    """What comes while a step is under way is not forgotten."""
    steps = Steps()
    steps.gate = asyncio.Event()
    await clock().settle()
    steps.task.wake()
    steps.gate.set()
    await clock().settle()
    assert steps.times == [0, 0]
    await steps.task.close()


@on_a_fake_clock
async def test_a_failing_step_is_tried_again_with_growing_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first time at once. A series is logged once, and so is its end; pauses have a limit."""
    steps = Steps(longest_pause=0.5)
    steps.error = OSError("the cable is out")
    await clock().advance(1.3)
    assert [round(each, 3) for each in steps.times] == [0, 0, 0.1, 0.3, 0.7, 1.2]
    steps.error = None
    await clock().advance(0.5)
    assert events(caplog) == ["side_task_failed", "side_task_recovered"]
    assert "the cable is out" in caplog.text
    steps.error = OSError("again")
    await clock().advance(10)
    assert events(caplog).count("side_task_failed") == 2
    await steps.task.close()


@on_a_fake_clock
async def test_a_failing_step_is_not_hurried() -> None:
    """Who wakes a step that fails does not make it hammer at the server."""
    steps = Steps()
    steps.error = OSError("away")
    await clock().settle()
    for _ in range(100):
        steps.task.wake()
        await clock().settle()
    assert len(steps.times) == 2
    steps.gate = asyncio.Event()
    await clock().advance(0.1)
    steps.task.wake()  # during the step
    steps.gate.set()
    await clock().settle()
    assert len(steps.times) == 3
    await steps.task.close()


@on_a_fake_clock
async def test_a_task_that_was_cancelled_is_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever cancels all tasks of the loop does not end it for good, unless it was closed."""
    steps = Steps()
    await clock().settle()
    for number in (2, 3):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await clock().advance(1)
        assert len(steps.times) == number
    assert events(caplog) == ["side_task_restarted"] * 2
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await clock().settle()
    await steps.task.close()
    await clock().advance(60)
    assert len(steps.times) == 3


def test_a_loop_that_ends_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that is closed without the queue's close leaves no task behind, and no warning."""

    async def main() -> None:
        async def step() -> float:
            return 60.0

        SideTask("left", step).start()
        await asyncio.sleep(0)

    asyncio.run(main(), debug=True)
    gc.collect()
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


@on_a_fake_clock
async def test_the_close_gives_a_step_its_time_and_then_cancels_it() -> None:
    """A step under way may end within the seconds that it has, and no other begins."""
    patient, hurried = Steps(), Steps()
    patient.gate, hurried.gate = asyncio.Event(), asyncio.Event()
    await clock().settle()
    closing = asyncio.create_task(patient.task.close(5.0))
    await clock().advance(4)
    assert not closing.done()
    patient.gate.set()
    await closing
    await hurried.task.close()
    assert len(patient.times) == len(hurried.times) == 1
    assert len(asyncio.all_tasks()) == 1


@on_a_fake_clock
async def test_the_close_does_not_wait_for_a_step_that_resists() -> None:
    """A step that does not end when it is cancelled holds up nobody."""

    async def resisting() -> float:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return 0.0

    gate = asyncio.Event()
    task = SideTask("resisting", resisting)
    task.start()
    await clock().settle()
    await clock().drive(task.close(0.25))
    assert clock().time() == pytest.approx(1000.75)
    gate.set()
    await clock().settle()


@on_a_fake_clock
async def test_a_close_that_is_cancelled_leaves_no_task() -> None:
    """Who closes may be cancelled: the step is cancelled all the same."""
    steps = Steps()
    steps.gate = asyncio.Event()
    await clock().settle()
    closing = asyncio.create_task(steps.task.close(5.0))
    await clock().settle()
    closing.cancel()
    await clock().settle()
    assert closing.cancelled()
    assert len(asyncio.all_tasks()) == 1


@on_a_fake_clock
async def test_the_close_ends_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a long pause nor one after a failure holds up the close, nor is anything logged."""
    waiting, failing = Steps(pause=3600.0), Steps()
    failing.error = OSError("away")
    await clock().settle()
    caplog.clear()
    await waiting.task.close(60)
    await failing.task.close(60)
    assert (len(waiting.times), len(failing.times)) == (1, 2)
    assert events(caplog) == []
    await Steps().task.close()  # before its first turn


@on_a_fake_clock
async def test_age() -> None:
    """One that waits for its next step is well; one that fails, or does not return, grows old."""
    steps = Steps(pause=3600.0)
    await clock().advance(1000)
    assert steps.task.age == 0
    steps.gate = asyncio.Event()
    steps.task.wake()
    await clock().advance(30)
    assert steps.task.age == 1030
    steps.gate.set()
    await clock().settle()
    assert steps.task.age == 0
    steps.error = OSError("away")
    steps.task.wake()
    await clock().advance(60)
    assert steps.task.age == 60
    await steps.task.close()


@on_a_fake_clock
async def test_nothing_of_the_starter_is_kept() -> None:
    """The variables of the job that starts it, or begins it again, are not its own."""
    job = contextvars.ContextVar("job", default="none")
    seen = []

    async def step() -> float:
        seen.append(job.get())
        return 10.0

    task = SideTask("looking", step)
    job.set("some")
    task.start()
    await clock().settle()
    assert seen == ["none"]
    await task.close()


def test_a_rest_that_the_loop_cannot_tell_is_waited_for() -> None:
    """On a loop that counts in milliseconds, a pause of less than half of one is no busy loop."""

    async def main() -> None:
        steps = Steps(pause=0.0004)
        await clock().advance(0.1)
        assert 90 < len(steps.times) <= 101

    run_with_fake_clock(main(), BareLoop)
