"""The `postgres` backend and its peers, on one PostgreSQL server that this starts.

- Submits: no worker runs meanwhile.
- Jobs: they wait already, as the workers are stopped while they are submitted. The clock runs
  from then on until the last one was called; afterwards, all must have finished in the tables.
- Idle: from before the submit until its handler is called, or its result is known here; the
  worker is another process.
- Loaded: the rows were loaded just before, and nobody has told the planner of them.
- Held: a transaction elsewhere has held its snapshot since before the jobs of which the last
  third is measured.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from importlib.util import find_spec
from typing import Any

from stoat_jobs import JobBackend, JobStatus

from . import postgres_server as server
from .measure import CLOCK, PROCESSOR, Bench, Figure, Round, Size, require
from .postgres_loaded import loaded_database
from .postgres_queues import OURS, PGQUEUER, QUEUES, ServerQueue, Submitter
from .postgres_server import Workers, connected, database, drained

ONE_BY_ONE, BY_CALLERS, AT_ONCE, BATCHES = (
    "submits, one by one",
    "submits, 10 callers",
    "submits, 500 at once",
    "submits, batches of 1,000",
)
JOBS = "no-op jobs, workers: {}"
WORKERS = (1, 2, 4)
LOADED = "no-op jobs, {:,} finished and {:,} pending rows just loaded"
HELD = "no-op jobs, a snapshot held elsewhere"
START, RESULT = "idle, submit to start", "idle, submit to result"
CANCEL = "cancel of a running job"
REDELIVERY = "ten jobs of a killed worker run again"
P50, P99, SECONDS = "p50, ms", "p99, ms", "s"

CALLERS, BATCH, MANY_AT_ONCE = 10, 1_000, 500
EVERY = 20
TEN = 10
_PATIENCE = 240.0
_LATER = ("procrastinate", "saq, PostgreSQL")  # slow, so they run fewer jobs


def figure(queue: ServerQueue, measure: str, unit: str = CLOCK) -> Figure:
    return Figure(f"{queue.name}: {measure}", unit)


def parts(figure: Figure) -> tuple[str, str]:
    """The name of a queue, and what was measured of it; empty of a figure of another subject."""
    queue, _, measure = figure.name.partition(": ")
    return (queue, measure) if queue in {one.name for one in QUEUES} else ("", "")


def benches(size: Size) -> list[Bench]:
    here = [queue for queue in QUEUES if absence(queue) is None]
    found = [bench for queue in here for bench in _of_each(queue, size)]
    if PGQUEUER in here:
        found.append(_bench([figure(PGQUEUER, HELD)], _jobs_while_held, PGQUEUER, size.jobs // 2))
    return [*found, *_of_ours(size)] if OURS in here else found


def left_out() -> list[str]:
    """The queues that are not measured, and why."""
    absences = ((queue.name, absence(queue)) for queue in QUEUES)
    return [f"{name}: {reason}" for name, reason in absences if reason is not None]


def absence(queue: ServerQueue) -> str | None:
    """Why a queue is not measured."""
    if not all(map(find_spec, queue.modules)):
        return "not installed"
    return None if server.is_installed() else "no PostgreSQL server is installed"


def _bench(figures: list[Figure], run: Callable[..., Coroutine[Any, Any, Round]], *args: Any,
           warm_up: Callable[[], object] = lambda: None) -> Bench:  # fmt: skip
    names = tuple(dict.fromkeys(figure.name for figure in figures))
    return Bench(names, lambda: asyncio.run(_bounded(run(*args))), warm_up)


async def _bounded(run: Awaitable[Round]) -> Round:
    async with asyncio.timeout(_PATIENCE):
        return await run


def _of_each(queue: ServerQueue, size: Size) -> list[Bench]:
    jobs = size.jobs // 5 if queue.name in _LATER else size.jobs
    measures = [ONE_BY_ONE, BY_CALLERS, AT_ONCE, *[BATCHES] * queue.has_batches]
    return [
        _bench([figure(queue, measure) for measure in measures], _submits, queue, jobs),
        _bench([figure(queue, JOBS.format(count)) for count in WORKERS], _jobs, queue, jobs),
        _bench([figure(queue, START)], _starts, queue, size.samples // 10),
    ]


def _of_ours(size: Size) -> list[Bench]:
    rows = counts(size)
    loaded = figure(OURS, LOADED.format(*rows))
    return [
        _bench([figure(OURS, HELD)], _jobs_while_held, OURS, size.jobs // 2),
        _bench([loaded], _jobs_when_loaded, loaded.name, size.jobs, *rows,
               warm_up=partial(loaded_database, *rows)),
        _bench([figure(OURS, RESULT), figure(OURS, CANCEL)], _waits, size.samples // 10),
        _bench([figure(OURS, REDELIVERY)], _redelivery),
    ]  # fmt: skip


def counts(size: Size) -> tuple[int, int]:
    """Of finished rows, and of pending ones."""
    return 10 * size.waiting, 5 * size.waiting


async def _submits(queue: ServerQueue, jobs: int) -> Round:
    with database() as url:
        async with queue.submitting(url) as submitter, connected(url) as connection:
            await _at_once(submitter, 2 * CALLERS, 2 * CALLERS)  # connections are made

            async def rate(measure: str, jobs: int, submit: Any) -> tuple[Figure, float]:
                before = await connection.fetchval(queue.live)
                begun = time.perf_counter()
                await submit
                seconds = time.perf_counter() - begun
                now = await connection.fetchval(queue.live)
                require(now - before, jobs, f"submitted jobs of {queue.name}")
                return figure(queue, measure), jobs / seconds

            few, many = jobs // 5, max(jobs, MANY_AT_ONCE) // MANY_AT_ONCE * MANY_AT_ONCE
            found = [
                await rate(ONE_BY_ONE, few, _one_by_one(submitter, few)),
                await rate(BY_CALLERS, jobs, _at_once(submitter, jobs, CALLERS)),
                await rate(AT_ONCE, many, _rounds_at_once(submitter, many)),
            ]
            if queue.has_batches:
                found.append(await rate(BATCHES, 4 * jobs, _in_batches(submitter, 4 * jobs)))
            return dict(found)


async def _one_by_one(submitter: Submitter, jobs: int) -> None:
    for _ in range(jobs):
        await submitter.one()


async def _at_once(submitter: Submitter, jobs: int, callers: int) -> None:
    await asyncio.gather(*(_one_by_one(submitter, jobs // callers) for _ in range(callers)))


async def _rounds_at_once(submitter: Submitter, jobs: int) -> None:
    for _ in range(jobs // MANY_AT_ONCE):
        await _at_once(submitter, MANY_AT_ONCE, MANY_AT_ONCE)


async def _in_batches(submitter: Submitter, jobs: int) -> None:
    for begin in range(0, jobs, BATCH):
        await submitter.many(min(BATCH, jobs - begin))


async def _submit_all(queue: ServerQueue, submitter: Submitter, jobs: int) -> None:
    if queue.has_batches:
        await _in_batches(submitter, jobs)
    else:
        await _at_once(submitter, jobs, CALLERS)


async def _jobs(queue: ServerQueue, jobs: int) -> Round:
    """With more and more workers, in the same tables."""
    found: dict[Figure, float] = {}
    with database() as url:
        async with queue.submitting(url) as submitter, Workers(queue, url, EVERY) as processes:
            for count in WORKERS:
                await processes.add(count - len(processes.told))
                watch = await _watched(queue, url, submitter, processes, jobs)
                found |= watch.rates(figure(queue, JOBS.format(count)).name)
    return found


async def _jobs_while_held(queue: ServerQueue, jobs: int) -> Round:
    with database() as url:
        async with (
            connected(url) as connection,
            queue.submitting(url) as submitter,
            Workers(queue, url, EVERY) as processes,
        ):
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            await processes.add()
            watch = await _watched(queue, url, submitter, processes, 3 * jobs, 2 * jobs)
    return watch.rates(figure(queue, HELD).name)


async def _watched(
    queue: ServerQueue,
    url: str,
    submitter: Submitter,
    processes: Workers,
    jobs: int,
    unmeasured: int = 0,
) -> Watch:
    """Run *jobs*; the first so many are *unmeasured*."""
    while not all(processes.told):  # until each has worked
        await _submit_all(queue, submitter, EVERY * len(processes.told))
        await drained(url, queue)
    processes.send(signal.SIGSTOP)
    await _submit_all(queue, submitter, jobs)
    before = processes.calls
    processes.send(signal.SIGCONT)
    watch = await _watch(processes, before + unmeasured, jobs - unmeasured)
    await drained(url, queue)
    return watch


async def _watch(processes: Workers, unmeasured: int, jobs: int) -> Watch:
    """Watch the *jobs* after those that are *unmeasured*; the last few may not be told of."""
    await processes.reach(unmeasured)
    watch = Watch(processes)
    await processes.reach(unmeasured + jobs - len(processes.told) * processes.every)
    watch.stop()
    return watch


class Watch:
    """What the calls of worker processes take: of the clock, and of the CPU with the server."""

    def __init__(self, processes: Workers) -> None:
        self._processes = processes
        self._begun = self._now()

    def _now(self) -> tuple[int, float, float]:
        seconds = server.processor_seconds(self._processes.ids)
        return self._processes.calls, time.perf_counter(), seconds

    def stop(self) -> None:
        pairs = zip(self._now(), self._begun, strict=True)
        self._calls, self._wall, cpu = (now - begun for now, begun in pairs)
        self._cpu = max(cpu, server.TICK)

    def rates(self, name: str) -> Round:
        return {
            Figure(name, CLOCK): self._calls / self._wall,
            Figure(name, PROCESSOR): self._calls / self._cpu,
        }


async def _starts(queue: ServerQueue, samples: int) -> Round:
    taken = []
    with database() as url:
        async with queue.submitting(url) as submitter, Workers(queue, url) as processes:
            await processes.add()
            for number in range(samples + 5):
                await asyncio.sleep(0.01)
                begun = time.perf_counter()
                await submitter.one()
                await processes.reach(number + 1)
                taken.append(time.perf_counter() - begun)
    return _quantiles(queue, START, taken[5:])


def _quantiles(queue: ServerQueue, measure: str, seconds: list[float]) -> Round:
    cut = statistics.quantiles(seconds, n=100)
    return {
        figure(queue, measure, P50): cut[49] * 1e3,
        figure(queue, measure, P99): cut[98] * 1e3,
    }


async def _waits(samples: int) -> Round:
    """Of a process that waits for jobs that run in another one, and cancels some."""
    with database() as url:
        async with (
            OURS.queue(url, lambda: None, worker=False) as queue,
            Workers(OURS, url) as processes,
        ):
            await processes.add()
            results = [await _result(queue) for _ in range(samples + 5)]
            cancels = [await _cancel(queue, processes) for _ in range(samples + 5)]
    return {**_quantiles(OURS, RESULT, results[5:]), **_quantiles(OURS, CANCEL, cancels[5:])}


async def _result(queue: JobBackend) -> float:
    await asyncio.sleep(0.01)
    begun = time.perf_counter()
    record = await queue.wait(await queue.submit("noop"))
    require(record.status, JobStatus.COMPLETED, "status")
    return time.perf_counter() - begun


async def _cancel(queue: JobBackend, processes: Workers) -> float:
    before = processes.calls
    job_id = await queue.submit("held")
    await processes.reach(before + 1)
    await asyncio.sleep(0.01)
    begun = time.perf_counter()
    require(await queue.cancel(job_id), expected=True, what="cancelled")
    record = await queue.wait(job_id)
    require(record.status, JobStatus.CANCELLED, "status")
    return time.perf_counter() - begun


async def _redelivery() -> Round:
    with database() as url:
        async with (
            OURS.queue(url, lambda: None, worker=False) as queue,
            Workers(OURS, url) as processes,
        ):
            await processes.add()
            await queue.submit_many("held", [{}] * TEN)
            await processes.reach(TEN)
            await processes.add()
            while not processes.told[1]:  # until it works
                await queue.submit("noop")
                await asyncio.sleep(0.1)
            await asyncio.sleep(1)  # its leases are new
            before, begun = processes.told[1], time.perf_counter()
            processes.send(signal.SIGKILL, 0)
            await processes.reach_alone(1, before + TEN)
            return {figure(OURS, REDELIVERY, SECONDS): time.perf_counter() - begun}


async def _jobs_when_loaded(name: str, jobs: int, finished: int, pending: int) -> Round:
    with database(loaded_database(finished, pending)) as url:
        async with Workers(OURS, url, EVERY) as processes:
            await processes.add()
            watch = await _watch(processes, 5 * EVERY, min(jobs, pending // 2))
            return watch.rates(name)
