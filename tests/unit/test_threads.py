"""The threads of sync handlers: reused, ended, and never in the way of the next job."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import gc
import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus
from stoat_jobs._run import threads
from stoat_jobs._run.calls import start_thread
from stoat_jobs._run.threads import IDLE_NAME, Worker, call_in_thread
from stoat_jobs.testing import DeadlockError, run_with_fake_clock

from ..support import SAFETY_NET
from ..support.programs import run_python, unmeasured
from ..support.threads import own_threads, workers

handlers = JobHandlers()


@handlers.job
def here(ctx: JobContext) -> threading.Thread:
    return threading.current_thread()


class Gated:
    """A call that waits until it may end."""

    def __init__(self, act: Callable[[], Any] = lambda: None, *, is_open: bool = False) -> None:
        self.name = "stoat-jobs gated"
        self.abandoned = False
        self.act = act
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.told = threading.Event()
        self.thread: threading.Thread | None = None
        if is_open:
            self.gate.set()

    def run(self) -> None:
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.gate.wait(SAFETY_NET)
        self.act()

    def tell(self, result: None) -> None:
        self.told.set()


def begin(call: Gated) -> Gated:
    call_in_thread(call)
    assert call.begun.wait(SAFETY_NET)
    return call


def finish(call: Gated) -> Worker:
    call.gate.set()
    assert call.told.wait(SAFETY_NET)
    assert isinstance(call.thread, Worker)
    return call.thread


async def run_here(queue: AsyncioJobQueue, job_type: str = "here") -> Any:
    return (await queue.wait(await queue.submit(job_type))).result


async def jobs_one_by_one(count: int) -> list[Any]:
    async with AsyncioJobQueue(handlers) as queue:
        return [await run_here(queue) for _ in range(count)]


def test_one_slot_needs_one_thread() -> None:
    """Jobs that run one after the other are all called in the same thread."""
    with own_threads():
        assert len(set(asyncio.run(jobs_one_by_one(200)))) == 1


def test_there_are_no_more_threads_than_slots() -> None:
    """However many jobs run, a slot that becomes free finds its thread free before."""

    async def live() -> set[Any]:
        async with AsyncioJobQueue(handlers, JobQueueSettings(concurrency=4)) as queue:
            ids = [await queue.submit("here") for _ in range(400)]
            return {(await queue.wait(each)).result for each in ids}

    with own_threads() as before:
        assert 1 <= len(asyncio.run(live())) <= 4
        assert len(workers() - before) <= 4


def test_the_thread_that_became_free_last_is_taken_first() -> None:
    """So that few threads stay in use, and the others can end."""
    with own_threads():
        first, second, third = begin(Gated()), begin(Gated()), begin(Gated())
        finish(first), finish(third)
        last = finish(second)
        assert begin(Gated(is_open=True)).thread is last


def test_an_idle_thread_ends() -> None:
    """A thread that gets no call in time is gone, and the next call has another one."""
    with own_threads(idle_seconds=0.0):
        worker = finish(begin(Gated()))
        worker.join(SAFETY_NET)
        assert not worker.is_alive()
        assert threads._free == []
        assert begin(Gated(is_open=True)).thread is not worker


def test_ten_seconds_without_a_job_end_a_thread() -> None:
    """The documented time."""
    assert threads.IDLE_SECONDS == 10.0


def test_a_call_that_comes_while_its_thread_ends_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who took the thread in the moment of its end gives the call to another one."""
    with own_threads(idle_seconds=0.0):
        worker = finish(begin(Gated()))
        worker.join(SAFETY_NET)
        threads._free.append(worker)  # taken before it ended
        late = begin(Gated(is_open=True))
        assert late.thread is not worker


def test_a_call_that_comes_while_its_thread_gives_up_is_made() -> None:
    """A thread that gives up looks once more, and goes on if it was handed a call meanwhile."""
    with own_threads():
        worker = Worker(Gated())
        worker._end()
        assert not worker._ended
        worker._calls.clear()
        worker._end()
        assert worker._ended


def test_the_thread_of_an_abandoned_call_is_not_used_again() -> None:
    """It ends as soon as its handler returns."""
    with own_threads():
        call = begin(Gated())
        call.abandoned = True
        worker = finish(call)
        worker.join(SAFETY_NET)
        assert not worker.is_alive()
        assert threads._free == []


@pytest.mark.parametrize("way", ["cancel", "deadline", "close", "task cancelled"])
def test_the_thread_of_an_abandoned_job_is_not_used_again(way: str) -> None:
    """In whatever way the job was given up: the next one has another thread."""
    own, gate, found = JobHandlers(), threading.Event(), list[threading.Thread]()
    settings = JobQueueSettings(drain_timeout=0, cancel_grace=0)

    async def live() -> Any:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def stuck(ctx: JobContext) -> None:
            found.append(threading.current_thread())
            loop.call_soon_threadsafe(begun.set)
            gate.wait(SAFETY_NET)

        own.register("stuck", stuck, timeout=0.05 if way == "deadline" else None)
        async with AsyncioJobQueue(own, settings) as queue:
            job_id = await queue.submit("stuck")
            await begun.wait()
            if way == "cancel":
                await queue.cancel(job_id)
            elif way == "task cancelled":
                (task,) = (each for each in asyncio.all_tasks() if each.get_name().endswith(job_id))
                task.cancel()
            if way != "close":
                await queue.wait(job_id)
        gate.set()
        return (await queue.get_result(job_id)).status

    with own_threads():
        assert asyncio.run(live()) is not JobStatus.COMPLETED
        found[0].join(SAFETY_NET)
        assert not found[0].is_alive()


@pytest.mark.parametrize("at", ["_calls", "_bell"], ids=["before", "after"])
def test_a_call_whose_handing_over_is_cut_off_is_never_made(at: str) -> None:
    """A Ctrl-C there ends the job, so its handler does not begin ten seconds later."""
    called: list[int] = []

    class Interrupted:
        def append(self, call: Any) -> None:
            raise KeyboardInterrupt

        put = append

    async def live() -> None:
        done = asyncio.get_running_loop().create_future()
        with pytest.raises(KeyboardInterrupt):
            start_thread(lambda: called.append(1), done, float, "it")

    with own_threads() as before:
        finish(begin(Gated()))
        (worker,) = workers() - before
        until_idle(worker)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, at, Interrupted())
            asyncio.run(live())
    assert not worker.is_alive()
    assert called == []


def test_an_idle_thread_has_a_name_of_its_own() -> None:
    """A list of threads says which are at work, and at what."""
    with own_threads():
        call = begin(Gated())
        assert isinstance(call.thread, Worker)
        assert (call.thread.name, call.thread.idle) == ("stoat-jobs gated", False)
        worker = finish(call)
        until_idle(worker)
        assert worker.name == IDLE_NAME == "stoat-jobs idle"
        assert worker.daemon
        again = begin(Gated())
        assert (again.thread, worker.name, worker.idle) == (worker, "stoat-jobs gated", False)
        finish(again)


def until_idle(worker: Worker) -> None:
    """It says so after it has told how its call ended."""
    while not worker.idle:
        os.sched_yield() if hasattr(os, "sched_yield") else threading.Event().wait(0.001)


def test_a_thread_that_its_handler_renamed_has_its_name_back() -> None:
    """The next job's log lines do not have the name that another job chose."""

    def rename() -> None:
        threading.current_thread().name = "mine"

    with own_threads():
        worker = finish(begin(Gated(rename)))
        until_idle(worker)
        assert worker.name == IDLE_NAME


def test_an_event_loop_that_a_handler_left_is_not_there_for_the_next() -> None:
    """A closed loop of one job cannot make asyncio fail in another."""
    own = JobHandlers()

    @own.job
    def leaves(ctx: JobContext) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.close()

    @own.job
    def looks(ctx: JobContext) -> Any:
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            return None

    async def live() -> Any:
        async with AsyncioJobQueue(own) as queue:
            await run_here(queue, "leaves")
            return await run_here(queue, "looks")

    with own_threads():
        assert asyncio.run(live()) is None


def test_an_exception_raised_in_an_idle_thread_costs_no_call() -> None:
    """What a tool raises in a thread for a job that has ended ends the thread, not the next job."""
    with own_threads():
        worker = finish(begin(Gated()))
        until_idle(worker)
        ident = ctypes.c_ulong(worker.ident or 0)
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(KeyError)) == 1
        finish(begin(Gated(is_open=True)))


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_what_ends_a_thread_ends_one_job_only(error: type[BaseException]) -> None:
    """A job that raises in its thread fails, and the next one runs in the same thread."""
    own, found = JobHandlers(), list[threading.Thread]()

    @own.job
    def raises(ctx: JobContext) -> None:
        found.append(threading.current_thread())
        raise error

    async def live() -> Any:
        async with AsyncioJobQueue(own) as queue:
            queue.handlers.register("here", lambda ctx: threading.current_thread())
            await run_here(queue, "raises")
            return await run_here(queue)

    with own_threads():
        assert asyncio.run(live()) is found[0]


class Thing:
    """Something that a job has."""


variable: contextvars.ContextVar[Thing] = contextvars.ContextVar("variable")


@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_an_idle_thread_refers_to_nothing_of_a_job(fails: bool) -> None:
    """Arguments, result, error and context variables are gone, and not by a garbage collection."""
    own, kept = JobHandlers(), list[weakref.ref[Thing]]()

    def new() -> Thing:
        thing = Thing()
        kept.append(weakref.ref(thing))
        return thing

    @own.job
    def has(ctx: JobContext) -> Any:
        variable.set(new())
        local, result = new(), new()
        if fails:
            raise ValueError(local)
        return id(result)

    async def live() -> None:
        async with AsyncioJobQueue(own) as queue:
            queue.handlers.register("here", lambda ctx: None)
            await run_here(queue, "has")
            await run_here(queue)  # in the same thread, which has let go by now

    with own_threads():
        logging.disable()  # it keeps errors
        gc.collect()
        gc.disable()
        try:
            asyncio.run(live())
            assert [each() for each in kept] == [None] * 3
        finally:
            gc.enable()
            logging.disable(logging.NOTSET)


def test_an_abandoned_job_leaves_nothing_to_the_garbage_collector() -> None:
    """Once its handler has returned, what it had goes, and not by a garbage collection."""
    own, gate, kept = JobHandlers(), threading.Event(), list[weakref.ref[Thing]]()
    found: list[threading.Thread] = []

    async def live() -> None:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        @own.job
        def has(ctx: JobContext) -> None:
            thing = Thing()
            variable.set(thing)
            kept.append(weakref.ref(thing))
            found.append(threading.current_thread())
            loop.call_soon_threadsafe(begun.set)
            gate.wait(SAFETY_NET)

        async with AsyncioJobQueue(own, JobQueueSettings(cancel_grace=0)) as queue:
            job_id = await queue.submit("has")
            await begun.wait()
            await queue.cancel(job_id)
            await queue.wait(job_id)
            gate.set()
            await asyncio.to_thread(found[0].join, SAFETY_NET)
            assert (await queue.stats()).abandoned == 0

    with own_threads():
        gc.collect()
        gc.disable()
        try:
            asyncio.run(live())
            assert [each() for each in kept] == [None]
        finally:
            gc.enable()


def test_a_new_thread_has_no_context_of_a_job() -> None:
    """Since Python 3.14 a thread may begin with its creator's variables: ours must not keep them."""
    kept: list[Any] = []
    with own_threads():
        token = variable.set(Thing())
        call = Gated(lambda: kept.append(variable.get(None)))
        finish(begin(call))
        variable.reset(token)
    assert kept == [None]


async def test_a_thread_that_cannot_be_started_fails_its_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the system's limit of threads the job fails with Python's own words; the queue goes on."""
    with own_threads():
        async with AsyncioJobQueue(handlers) as queue:

            def start(thread: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            with monkeypatch.context() as patch:
                patch.setattr(Worker, "start", start)
                record = await queue.wait(await queue.submit("here"))
            assert (record.status, record.error_type) == (JobStatus.FAILED, "RuntimeError")
            assert record.error == "can't start new thread"
            assert isinstance(await run_here(queue), Worker)


def test_a_ctrl_c_before_a_call_is_handed_over_leaves_no_thread() -> None:
    """A thread that was taken and got nothing ends, like one that nobody took."""
    with own_threads(idle_seconds=0.0):
        call = begin(Gated())
        threads._free.clear()
        worker = finish(call)
        threads._free.clear()  # taken, and then interrupted
        worker.join(SAFETY_NET)
        assert not worker.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_starts_threads_of_its_own() -> None:
    """Sync handlers run in a child process, too, which has none of its parent's threads."""
    assert run_python("-W", "ignore", "-c", FORK, env=unmeasured()).stdout == "child\nparent\n"


FORK = """
import asyncio, os, signal, sys
from stoat_jobs import AsyncioJobQueue, JobHandlers

handlers = JobHandlers()

@handlers.job
def doubled(ctx, n: int) -> int:
    return 2 * n

async def live():
    async with AsyncioJobQueue(handlers) as queue:
        for n in range(3):
            assert (await queue.wait(await queue.submit("doubled", {"n": n}))).result == 2 * n

asyncio.run(live())
if (child := os.fork()) == 0:
    signal.alarm(20)
    asyncio.run(live())
    print("child", flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent")
"""


def test_idle_threads_hold_up_no_exit_and_say_nothing() -> None:
    """An exit with idle threads, of queues in several threads, is quick and silent."""
    done = run_python("-X", "dev", "-c", EXIT, env=unmeasured(), timeout=SAFETY_NET)
    assert (done.stdout, done.stderr) == ("over\n", "")


EXIT = """
import asyncio, threading
from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs._run import threads
from stoat_jobs._run.calls import start_thread

threads.IDLE_SECONDS = 1000.0  # an exit that waited for one would be seen
handlers = JobHandlers()

@handlers.job
def doubled(ctx, n: int) -> int:
    return 2 * n

async def live():
    # A machine that is busy with something else is not what is looked for.
    asyncio.get_running_loop().slow_callback_duration = 60.0
    async with AsyncioJobQueue(handlers, JobQueueSettings(concurrency=5)) as queue:
        ids = [await queue.submit("doubled", {"n": n}) for n in range(200)]
        assert [(await queue.wait(each)).result for each in ids] == [2 * n for n in range(200)]

lives = [threading.Thread(target=asyncio.run, args=[live()]) for _ in range(4)]
for each in lives:
    each.start()
for each in lives:
    each.join()
assert 1 <= len([t for t in threading.enumerate() if t.name == "stoat-jobs idle"]) <= 20
print("over")
"""


def test_the_kits_loop_waits_for_a_thread_of_before_that_is_at_work_again() -> None:
    """A reused thread may wake a loop that is younger than the thread."""
    own = JobHandlers()

    @own.job
    def takes_long(ctx: JobContext) -> threading.Thread:
        threading.Event().wait(0.1)
        return threading.current_thread()

    async def live() -> Any:
        # Its watchdog is a thread, too, for which the loop would wait.
        async with AsyncioJobQueue(own, JobQueueSettings(loop_block_limit=0)) as queue:
            return await run_here(queue, "takes_long")

    with own_threads():
        assert run_with_fake_clock(live()) is run_with_fake_clock(live())


def test_a_deadlock_is_seen_beside_an_idle_thread() -> None:
    """The kit's loop does not wait for a thread that is idle, and does for one at work."""

    async def live() -> None:
        assert len(await jobs_one_by_one(2)) == 2
        await asyncio.Event().wait()

    with own_threads():
        for _ in range(2):  # the first begins the thread, the others find it
            with pytest.raises(DeadlockError, match="nothing is ready"):
                run_with_fake_clock(live())
