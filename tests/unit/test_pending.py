"""What waits for a slot: in order, and as cheap to leave as to join."""

from __future__ import annotations

import contextvars
import math
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import JobContext, JobType
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.pending import PendingJobs
from stoat_jobs._backends.scripted_outcomes import stand_in
from stoat_jobs.backends import FrozenPayload, StopReason

from ..support.programs import run_python, unmeasured


class Counted(Job):
    """A job that counts how often it is compared or looked up."""

    __slots__ = ()
    looks = 0

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return self is other

    def __hash__(self) -> int:
        Counted.looks += 1
        return id(self)


def some_jobs(number: int) -> list[Job]:
    empty = contextvars.Context()
    payload = FrozenPayload({}, b"{}")
    noop = stand_in("noop")
    return [
        Counted(str(each), "noop", noop, payload, 1.0, None, {}, empty, float(each))
        for each in range(number)
    ]


def waiting(jobs: list[Job], maxsize: int = 0) -> PendingJobs:
    pending = PendingJobs(maxsize)
    for job in jobs:
        pending.put(job)
    return pending


def steps_of(act: Callable[[], object]) -> int:
    """Lines of Python, and looks at jobs in C."""
    lines = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    Counted.looks = 0
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return lines + Counted.looks


ORDERS: dict[str, Callable[[list[Job]], list[Job]]] = {
    "oldest first": list,
    "newest first": lambda jobs: jobs[::-1],
    "every other": lambda jobs: jobs[1::2] + jobs[::2],
    "from the middle": lambda jobs: jobs[len(jobs) // 2 :] + jobs[: len(jobs) // 2],
    "in any order": lambda jobs: random.Random(7).sample(jobs, len(jobs)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_to_leave_takes_as_long_however_many_wait(order: str) -> None:
    """To cancel all that wait, one by one and in whatever order, is no quadratic work."""

    def cost(number: int) -> float:
        jobs = some_jobs(number)
        pending = waiting(jobs)

        def stop_all() -> None:
            for job in ORDERS[order](jobs):
                pending.stop(job, StopReason.CANCEL)

        steps = steps_of(stop_all)
        assert not pending
        assert len(pending) == 0
        return steps / number

    assert cost(4_000) < 1.2 * cost(500)


def test_who_leaves_from_the_middle_leaves_no_trace() -> None:
    """However many come and are cancelled behind a job that waits on, the memory stays flat."""
    oldest, newest, *others = some_jobs(1_000)
    pending = waiting([oldest])
    for first, second in zip(others[::2], others[1::2], strict=True):
        pending.put(first)
        pending.put(second)
        pending.stop(first, StopReason.CANCEL)
        pending.stop(second, StopReason.CANCEL)
        assert len(pending.places) <= 3
    for job in (*others, newest):
        pending.put(job)
    for job in others:
        pending.stop(job, StopReason.CANCEL)
    assert len(pending.places) <= 4
    assert list(pending) == [oldest, newest]


def test_whoever_leaves_the_others_keep_their_order() -> None:
    """The pending jobs are the same as in a plain list, whatever is put, taken and stopped."""
    for seed in range(30):
        chance = random.Random(seed)
        expected: list[Job] = []
        pending = PendingJobs(20)
        for job in some_jobs(200):
            pending.put(job)
            expected.append(job)
            while expected and chance.random() < 0.48:
                gone = chance.choice([0, -1, chance.randrange(len(expected))])
                if gone == 0:
                    assert pending.first() is expected[0]
                    assert pending.pop() is expected.pop(0)
                else:
                    pending.stop(expected.pop(gone), StopReason.CANCEL)
            assert list(pending) == expected
            assert (len(pending), bool(pending)) == (len(expected), bool(expected))
            assert pending.full() == (len(expected) >= 20)
        while expected:
            assert pending.pop() is expected.pop(0)
        assert not pending


def limited(number: int) -> list[Job]:
    """Jobs of a type of which one may run."""
    definition: JobType[..., Any] = JobType("one", accept, concurrency=1)
    jobs = some_jobs(number)
    for job in jobs:
        job.definition, job.job_type = definition, "one"
    return jobs


async def accept(ctx: JobContext, /, **payload: Any) -> None: ...


def test_delayed_jobs_come_in_the_order_in_which_they_are_due() -> None:
    """Whatever is put, taken and stopped, the next is that of a list sorted by due time."""
    for seed in range(30):
        chance = random.Random(seed)
        waiting: list[Job] = []
        pending = PendingJobs(20)
        for job in some_jobs(150):
            if chance.random() < 0.7:
                job.delay = chance.choice([1.0, 5.0, 30.0, 31.0])
            pending.put(job)
            waiting.append(job)
            while waiting and chance.random() < 0.45:
                if chance.random() < 0.5:
                    pending.stop(waiting.pop(chance.randrange(len(waiting))), StopReason.CANCEL)
                    continue
                due = [each for each in waiting if each.due <= job.submitted]
                expected = min(due, key=lambda each: (each.due, each.submitted), default=None)
                assert pending.first(job.submitted) is expected
                if expected is not None:
                    pending.take(expected)
                    waiting.remove(expected)
            assert list(pending) == waiting
            assert (len(pending), bool(pending)) == (len(waiting), bool(waiting))
            assert pending.full() == (len(waiting) >= 20)


@pytest.mark.parametrize("delay", [None, 1.0])
def test_a_full_type_costs_the_others_the_same_however_many_of_it_wait(
    delay: float | None,
) -> None:
    """To find the next job of another type is no search among those that wait for their own."""

    def cost(number: int) -> int:
        running, *waiting = limited(number)
        pending = PendingJobs(0)
        for job in (running, *waiting):
            job.delay = delay
            pending.put(job)
        pending.take(running)
        pending.started(running)
        others = some_jobs(100)
        for job in others:
            pending.put(job)

        def start_others() -> None:
            for job in others:
                assert pending.first(1e9) is job
                pending.take(job)

        return steps_of(start_others)

    assert cost(5_000) <= 1.01 * cost(50)


def test_a_job_of_a_limited_type_waits_until_there_is_room() -> None:
    """Only those count that were started and have not ended."""
    pending = PendingJobs(0)
    first, second = limited(2)
    pending.put_all([first, second])
    pending.take(first)
    pending.started(first)
    assert pending.first() is None
    assert pending.next_due() == math.inf
    pending.ended(first)
    assert pending.first() is second


def test_many_that_become_due_at_once_are_not_moved() -> None:
    """The first of a thousand that are due costs as much as the first of ten."""

    def cost(number: int) -> int:
        pending = PendingJobs(0)
        for job in some_jobs(number):
            job.delay = 1e6
            pending.put(job)
        return steps_of(lambda: pending.first(1e7))

    assert cost(1_000) == cost(10)


MEASURE = """
import asyncio, gc, tracemalloc
from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings

handlers = JobHandlers()

@handlers.job
async def noop(ctx): ...

@handlers.job
async def held(ctx):
    await ctx.app.wait()

async def main():
    settings = JobQueueSettings(concurrency=1, loop_block_limit=0)
    async with AsyncioJobQueue(handlers, settings) as queue:
        queue.app = asyncio.Event()
        for _ in range(6_000):  # the index has room for 10,000 then
            last = await queue.submit("noop")
        await queue.wait(last)
        await queue.submit("held")
        tracemalloc.start()
        for _ in range(4_000):
            await queue.submit("noop", delay=DELAY)
        gc.collect()
        print(tracemalloc.get_traced_memory()[0] / 4_000)
        queue.app.set()

asyncio.run(main())
"""


@pytest.mark.parametrize("delay", ["None", "3600"])
def test_a_job_that_waits_takes_little_memory(delay: str) -> None:
    """Delayed or not it takes at most 400 bytes without a payload, and its entry in the index."""
    program = MEASURE.replace("DELAY", delay)
    done = run_python("-c", program, env=unmeasured())  # here other tests may listen to the log
    assert 200 < float(done.stdout) <= 400
