"""The peers that run functions in worker threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from .measure import Stopwatch

_TIMEOUT = 120.0


class Tally:
    """Counts jobs that have run, in any thread; ``done`` is set when all have."""

    def __init__(self, jobs: int) -> None:
        self.ran = 0
        self.done = threading.Event()
        self._jobs = jobs
        self._lock = threading.Lock()

    def job(self) -> None:
        with self._lock:
            self.ran += 1
            if self.ran == self._jobs:
                self.done.set()

    def job_with_result(self) -> str:
        self.job()
        return "done"


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the signal handlers, which Huey's consumer replaces."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    kept = [(name, signal.getsignal(name)) for name in names]
    try:
        yield
    finally:
        for name, handler in kept:
            signal.signal(name, handler)


async def huey(jobs: int, watch: Stopwatch) -> int:
    """One worker, because more only wait for each other. It polls its queue every millisecond."""
    module = import_module("huey")
    tally = Tally(jobs)
    storage = module.MemoryHuey()
    task = storage.task()(tally.job_with_result)
    with _signals_kept():
        consumer = storage.create_consumer(
            workers=1, periodic=False, initial_delay=0.001, backoff=1.0, check_worker_health=False
        )
        consumer.start()
        with watch:
            handles = [task() for _ in range(jobs)]
            tally.done.wait(_TIMEOUT)
            ended = [_until_there(handle) for handle in handles]
        consumer.stop(graceful=True)
    return min(tally.ran, ended.count("done"))


def _until_there(handle: Any) -> Any:
    """Wait for the result, which the worker stores a moment after the function has returned."""
    return handle.get(blocking=True, timeout=_TIMEOUT, backoff=1.0, max_delay=0.001)


async def dramatiq(jobs: int, watch: Stopwatch, threads: int) -> int:
    """Without middleware: no retries, no time or age limits, no results."""
    module = import_module("dramatiq")
    stub = import_module("dramatiq.brokers.stub")
    tally = Tally(jobs)
    broker = stub.StubBroker(middleware=[])
    actor = module.actor(tally.job, broker=broker, actor_name="job")
    worker = module.Worker(broker, worker_timeout=100, worker_threads=threads)
    worker.start()
    with watch:
        for _ in range(jobs):
            actor.send()
        broker.join(actor.queue_name)
        worker.join()
    worker.stop()
    broker.close()
    return tally.ran
