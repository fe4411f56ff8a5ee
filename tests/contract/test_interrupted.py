"""A Ctrl-C at any line of ours: whatever it cuts short, the stop settles every job."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from inspect import CO_GENERATOR
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import stoat_jobs
from stoat_jobs import (
    AsyncioJobQueue,
    FinishedEvent,
    InMemoryJobQueue,
    JobBackend,
    JobObserver,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
)
from stoat_jobs._run.calls import cancel
from stoat_jobs._run.tasks import JobTask
from stoat_jobs.testing import Bench, FakeClockLoop
from stoat_jobs.testing._clock import fake_clock_loop

from ..support.stores import TextJobQueue, TextStore

OURS = str(Path(stoat_jobs.__file__).parent)
KIT = str(Path(stoat_jobs.__file__).parent / "testing")

# Without grace: what does not end at once is cut off.
SETTINGS = JobQueueSettings(concurrency=2, drain_timeout=0, cancel_grace=0, loop_block_limit=0)


class Interrupts:
    """Raises ``KeyboardInterrupt`` at one line after another of the package, and counts them."""

    def __init__(self, *at: int) -> None:
        self.lines = 0
        self._at = at
        self._over = False

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(OURS) or name.startswith(KIT):
            return None
        # Python looks for signals where a function begins; a generator's "call" may be its close.
        if event == "line" or (event == "call" and not frame.f_code.co_flags & CO_GENERATOR):
            self.lines += 1
            if self.lines in self._at:
                # Tracing ends with what a tracer raises.
                asyncio.get_running_loop().call_soon(self._go_on)
                raise KeyboardInterrupt
        return self.trace

    def _go_on(self) -> None:
        if not self._over:
            sys.settrace(self.trace)

    @contextmanager
    def tracing(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            yield
        finally:
            self._over = True
            sys.settrace(before)


def run(loop: FakeClockLoop, step: Any) -> bool:
    """Run *step* as ``asyncio.run`` does; whether a Ctrl-C came."""
    task = loop.create_task(step)
    try:
        loop.run_until_complete(task)
    except KeyboardInterrupt:
        pass
    else:
        return False
    if not task.done():
        task.cancel()
        with pytest.raises((asyncio.CancelledError, KeyboardInterrupt)):
            loop.run_until_complete(loop.drive(task))
    return True


def new_memory(*args: Any) -> JobBackend:
    return InMemoryJobQueue(*args)


def new_stored(*args: Any) -> JobBackend:
    return TextJobQueue(*args, store=TextStore())


def insist(loop: FakeClockLoop, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *step*; tasks that a Ctrl-C has ended are heard of meanwhile."""
    over = False
    while not over:
        with suppress(KeyboardInterrupt):
            loop.run_until_complete(step())
            over = True


class Life:
    """A queue of running, waiting and ended jobs, from its start to its end."""

    def __init__(self, new_queue: Callable[..., JobBackend]) -> None:
        self.bench = Bench()
        self.bench.queue = new_queue(self.bench.handlers, SETTINGS)
        self.waiting: list[asyncio.Task[JobResult[Any]]] = []

    async def live(self) -> None:
        bench = self.bench
        async with bench.queue:
            for job_type in ("hold", "deaf", "hold", "polite", "work", "hold"):
                bench.submit(job_type, key=job_type if job_type == "deaf" else None)
                await bench.clock.settle()
                await self.wait_for_newest()
            bench.calls[0].finish()
            await bench.clock.settle()

    async def wait_for_newest(self) -> None:
        """Have two wait for the newest job."""
        for newest in await self.bench.queue.list_jobs(limit=1):
            for _ in range(2):
                waiting = asyncio.ensure_future(self.bench.queue.wait(newest.job_id))
                self.waiting.append(waiting)
        await self.bench.clock.settle()

    async def check(self) -> None:
        """What was accepted has ended, and whoever waits for it is told."""
        queue = self.bench.queue
        records = await queue.list_jobs()  # which ends a queue that nobody can leave any more
        for _ in range(2):
            await asyncio.sleep(0)
        assert all(waiting.done() for waiting in self.waiting)
        await asyncio.gather(*self.waiting, return_exceptions=True)  # they were seen
        for record in records:
            kept = isinstance(queue, TextJobQueue) and record.status is JobStatus.PENDING
            assert kept or record.status.is_terminal, record
            with pytest.raises(QueueClosedError) if kept else nullcontext():
                assert await queue.wait(record.job_id) == record


class BusyLife(Life):
    """One in which jobs are delayed, submitted many at once, and of a type with a limit."""

    async def live(self) -> None:
        bench = self.bench
        bench.handlers.register("limited", bench.hold, concurrency=1)
        async with bench.queue:
            bench.submit("hold", delay=5)
            await bench.clock.settle()
            await self.wait_for_newest()
            for job_type, delay in (("limited", None), ("hold", 3)):
                many = bench.queue.submit_many(job_type, [{}] * 3, delay=delay)
                bench.submissions.append(asyncio.ensure_future(many))  # type: ignore[arg-type]
                await bench.clock.settle()
                await self.wait_for_newest()
            await bench.clock.advance(4)
            bench.calls[0].finish()
            await bench.clock.settle()


async def new_life(new_queue: Callable[..., JobBackend], life_type: type[Life] = Life) -> Life:
    return life_type(new_queue)


def lived(
    new_queue: Callable[..., JobBackend], interrupts: Interrupts, life_type: type[Life] = Life
) -> bool:
    """Let a queue live; whether a Ctrl-C came."""
    with fake_clock_loop() as loop:
        life = loop.run_until_complete(new_life(new_queue, life_type))
        with interrupts.tracing():
            came = run(loop, life.live())
        life.bench.open_gates()
        if life.bench.queue.started:  # it came before the stop, or in its first two lines
            insist(loop, life.bench.close)
        insist(loop, loop.settle)
        loop.run_until_complete(life.check())
    return came


QUEUES = [AsyncioJobQueue, new_memory, new_stored]

STRIDE = 32
"""Of so many lines one is tried in a run; each queue begins at another."""


def lines_of(number: int, life_type: type[Life] = Life) -> range:
    """The lines at which a Ctrl-C is tried.

    How often the thread of a store has written by the end of a life differs from life to life, and
    the lines with it: of such a queue the last tenth may not be reached.
    """
    for _ in range(2):  # what is done once only is done in the first
        whole = Interrupts()
        assert lived(QUEUES[number], whole, life_type) is False
    assert whole.lines > 1000
    reached = whole.lines * 9 // 10 if QUEUES[number] is new_stored else whole.lines
    return range(1 + number, reached - STRIDE, STRIDE)


def collect() -> None:
    """Collect all garbage, and what its finalizers leave."""
    while gc.collect():
        pass


@pytest.fixture
def collecting() -> Iterator[None]:
    """Garbage is collected at no other time, and fast.

    At any time it might close a coroutine that a Ctrl-C has left: one that falls into that is
    heard by nobody.
    """
    collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("collecting")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("second", [None, 1, 9], ids=lambda second: f"then {second}")
@pytest.mark.parametrize("number", range(3), ids=["asyncio", "memory", "stored"])
def test_a_ctrl_c_at_any_line_leaves_no_job_behind__fault_57(
    number: int, second: int | None
) -> None:
    """Wherever one Ctrl-C falls, or two, each job ends, and whoever waits for it is told."""
    for at in lines_of(number):
        more = () if second is None else (at + second,)
        assert lived(QUEUES[number], Interrupts(at, *more)) is True
        collect()  # coroutines that never began too: here that is no warning


@pytest.mark.slow
@pytest.mark.usefixtures("collecting")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("number", range(3), ids=["asyncio", "memory", "stored"])
def test_a_ctrl_c_leaves_no_delayed_job_behind_and_none_of_many(number: int) -> None:
    """Wherever it falls, each delayed job ends, each of a limited type, and each of many."""
    for at in lines_of(number, BusyLife):
        assert lived(QUEUES[number], Interrupts(at), BusyLife) is True
        collect()


CANCELS = {cancel.__code__, JobTask.cancel.__code__}


def losing(loop: FakeClockLoop, lost: int) -> Callable[..., asyncio.Handle]:
    """A ``call_soon`` that a Ctrl-C cuts short for one of the tasks that we cancel.

    Its wake-up is lost: asyncio has already marked as cancelled what the task awaits.
    """
    call_soon, cancels = loop.call_soon, count(1)

    def interrupted(*args: Any, **options: Any) -> asyncio.Handle:
        if sys._getframe(1).f_code in CANCELS and next(cancels) == lost:
            raise KeyboardInterrupt
        return call_soon(*args, **options)

    return interrupted


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_task_whose_wake_up_a_ctrl_c_has_lost_does_not_hold_up_the_exit__fault_57(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`asyncio.run` waits for all tasks at its end: none of ours is there that cannot end."""
    with fake_clock_loop() as loop:
        life = loop.run_until_complete(new_life(AsyncioJobQueue))
        monkeypatch.setattr(loop, "call_soon", losing(loop, lost))
        assert run(loop, life.live()) is True
        life.bench.open_gates()
        insist(loop, loop.settle)
        assert not asyncio.all_tasks(loop)
        loop.run_until_complete(life.check())


async def enter_and_be_gone(bench: Bench, *job_types: str) -> None:
    """A Ctrl-C before the first line of ``__aexit__``."""
    await bench.open()
    for job_type in job_types or ("hold", "deaf", "hold"):
        bench.submit(job_type)
        await bench.clock.settle()
    raise KeyboardInterrupt


async def new_bench(settings: JobQueueSettings = SETTINGS) -> Bench:
    bench = Bench()
    bench.queue = AsyncioJobQueue(bench.handlers, settings)
    return bench


async def statuses(bench: Bench) -> set[JobStatus]:
    return {record.status for record in await bench.queue.list_jobs()}


def test_a_queue_whose_owner_a_ctrl_c_has_ended_is_ended_too__fault_57() -> None:
    """Whoever entered it cannot leave it: when the loop's end cancels its jobs, it ends."""
    with fake_clock_loop() as loop:
        bench = loop.run_until_complete(new_bench())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(enter_and_be_gone(bench))
        assert bench.queue.started
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.settle())
        assert not bench.queue.started
        assert all(status.is_terminal for status in loop.run_until_complete(statuses(bench)))
        loop.run_until_complete(bench.open())  # and it may be entered again
        loop.run_until_complete(bench.close())


@pytest.mark.parametrize("job_type", ["hold", "polite", "work"])
def test_a_cancelled_job_that_ends_the_queue_ends_with_it__fault_57(job_type: str) -> None:
    """The job whose cancel tells that the owner is gone has ended at once, as all others have."""
    with fake_clock_loop() as loop:
        bench = loop.run_until_complete(new_bench(JobQueueSettings(cancel_grace=5)))
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(enter_and_be_gone(bench, job_type, job_type))
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.settle())
        assert not bench.queue.started
        assert loop.run_until_complete(statuses(bench)) == {JobStatus.CANCELLED}
        assert loop.errors == []
        bench.open_gates()


async def begin(bench: Bench, *, one_ended: bool) -> None:
    """Jobs that run and wait, perhaps one that has ended, and nobody who leaves the queue."""
    await bench.open()
    for job_type in ("hold", "deaf", "hold", "hold"):
        bench.submit(job_type)
        await bench.clock.settle()
    if one_ended:
        bench.calls[0].finish()
        await bench.clock.settle()


@pytest.mark.parametrize("one_ended", [False, True], ids=["none ended", "one ended"])
@pytest.mark.parametrize("number", range(3), ids=["asyncio", "memory", "stored"])
def test_a_queue_whose_loop_was_closed_is_ended_by_the_next_look__fault_57(
    number: int, one_ended: bool
) -> None:
    """A Ctrl-C that ends `asyncio.run` while it waits for all tasks leaves no job unended."""
    loop = FakeClockLoop()
    life = loop.run_until_complete(new_life(QUEUES[number]))
    loop.run_until_complete(begin(life.bench, one_ended=one_ended))
    loop.close()  # under tasks that nobody has cancelled, as it then is
    for _ in range(2):
        with fake_clock_loop() as another:
            another.run_until_complete(life.check())
    assert not life.bench.queue.started


def test_a_wait_ends_a_queue_whose_loop_was_closed__fault_57() -> None:
    """Whoever asks first for a job of such a queue is told that it has ended."""
    loop = FakeClockLoop()
    bench = loop.run_until_complete(new_bench())
    loop.run_until_complete(begin(bench, one_ended=False))
    ids = [submission.result() for submission in bench.submissions]
    loop.close()
    for job_id in ids:
        with fake_clock_loop() as another:
            record = another.run_until_complete(bench.queue.wait(job_id))
            assert record.error_type == "Shutdown"


def test_the_counts_are_those_of_a_queue_whose_loop_was_closed__fault_57() -> None:
    """Whoever asks such a queue for its counts first finds that nothing runs."""
    loop = FakeClockLoop()
    bench = loop.run_until_complete(new_bench())
    loop.run_until_complete(begin(bench, one_ended=False))
    loop.close()
    with fake_clock_loop() as another:
        stats = another.run_until_complete(bench.queue.stats())
    assert stats.slots_in_use == 0
    assert stats.by_status[JobStatus.RUNNING] == stats.by_status[JobStatus.PENDING] == 0


class SubmitsAgain(JobObserver):
    """Submits another job whenever one has finished."""

    def __init__(self) -> None:
        self.queue = AsyncioJobQueue()
        self.answers: list[BaseException] = []

    def finished(self, event: FinishedEvent) -> None:
        try:
            self.queue.submit(event.job_type).send(None)
        except (QueueClosedError, StopIteration) as answer:
            self.answers.append(answer)


def test_a_queue_that_is_ended_without_its_owner_takes_no_more__fault_57() -> None:
    """What an observer submits while such a queue ends is refused, and not left behind."""
    loop, observer = FakeClockLoop(), SubmitsAgain()
    bench = loop.run_until_complete(new_bench())
    bench.queue = observer.queue = AsyncioJobQueue(bench.handlers, observers=[observer])
    loop.run_until_complete(begin(bench, one_ended=False))
    loop.close()
    with fake_clock_loop() as another:
        found = another.run_until_complete(statuses(bench))
    assert found == {JobStatus.CANCELLED}
    assert [type(answer) for answer in observer.answers] == [QueueClosedError] * 4
