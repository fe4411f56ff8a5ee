"""The aims: limits for ratios of figures of the same run, and what is told without a limit."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from . import (
    durable,
    equal_features,
    growth,
    held,
    http_face,
    imports,
    latency,
    memory,
    postgres,
    quiet,
    restart,
    throughput,
)
from .measure import CLOCK, PROCESSOR, Bench, Figure, Results, Size
from .postgres_queues import OURS, PGQUEUER


class Aim(NamedTuple):
    """A limit for a figure, or for its ratio to another one; of several peers the best counts."""

    what: str
    over: Figure
    under: Sequence[Figure] = ()
    limit: float | None = None
    at_least: bool = True


class Verdict(NamedTuple):
    """An aim, and the measured values."""

    what: str
    values: list[float]
    aim: str
    met: bool | None


def aims(size: Size) -> list[Aim]:
    """All aims; throughput is judged by CPU time, which is disturbed less by other processes."""
    return [
        *_equal_features(),
        *_floors(),
        *_threads(),
        *_peers(),
        *_loop(size),
        *_growth(size),
        *_others(size),
        *_durable(size),
        *_postgres(size),
    ]


def needed(size: Size, subjects: Iterable[Sequence[Bench]]) -> list[list[Bench]]:
    """Of all benchmarks, those that the aims need."""
    figures = {figure.name for aim in aims(size) for figure in (aim.over, *aim.under)}
    return [[bench for bench in benches if figures & {*bench.names}] for benches in subjects]


def _equal_features() -> list[Aim]:
    """Their cost over ours."""
    limits = ((2.0, 1.9), (1.35, 1.35), (1.8, 1.75))
    ours, payload = equal_features.OURS, equal_features.PAYLOAD
    plain = [
        _cost(theirs, ours, limit)
        for theirs, (limit, _) in zip(equal_features.ADDED, limits, strict=True)
    ]
    with_payload = [
        _cost(payload.format(theirs), payload.format(ours), limit)
        for theirs, (_, limit) in zip(equal_features.ADDED, limits, strict=True)
    ]
    return [*plain, *with_payload]


def _cost(theirs: str, ours: str, limit: float | None) -> Aim:
    return Aim(f"cost over ours: {theirs}", _rate(ours), [_rate(theirs)], limit)


def _floors() -> list[Aim]:
    ours, one = throughput.OURS, throughput.OURS_ONE
    floor, floor_one, status = throughput.FLOOR_C, throughput.FLOOR_C_ONE, throughput.STATUS.format
    return [
        Aim("cost over ours: floor C, 100 slots, status read",
            _rate(status(ours)), [_rate(floor)], 1.2),
        Aim("cost over ours: floor C, 1 slot, status read",
            _rate(status(one)), [_rate(floor_one)], 1.05),
        Aim("cost over ours: floor C, ours with a payload of 3 fields",
            _rate(status(throughput.PAYLOAD)), [_rate(floor)], 0.95),
        Aim("idle submit to result, p50, ours over floor C", Figure(latency.OURS, latency.P50),
            [Figure(latency.FLOOR_C, latency.P50)], 0.9, at_least=False),
    ]  # fmt: skip


def _threads() -> list[Aim]:
    ours, new = throughput.THREADS, throughput.NEW_THREADS
    return [
        Aim("sync handler, cost over asyncio.to_thread", _rate(throughput.TO_THREAD),
            [_rate(ours)], 2.2, at_least=False),
        Aim("sync handler, jobs/s over a new thread per call, processor time", _rate(ours),
            [_rate(new)], 2.0),
        Aim("sync handler, jobs/s over a new thread per call, clock", Figure(ours, CLOCK),
            [Figure(new, CLOCK)]),
    ]  # fmt: skip


def _peers() -> list[Aim]:
    ours = _rate(throughput.OURS)
    return [
        Aim("cost over ours: taskiq InMemoryBroker at its best", ours,
            [_rate(name) for name in throughput.TASKIQ], 4.0),
        Aim("cost over ours: bare aiojobs at its best", ours,
            [_rate(name) for name in throughput.AIOJOBS]),
    ]  # fmt: skip


def _loop(size: Size) -> list[Aim]:
    progress, closing = held.PROGRESS.format(size.watchers), held.CLOSING.format(size.waiting)
    listing = held.LISTING.format(size.records)
    return [
        Aim(f"{progress}, ms", Figure(progress, held.MS), limit=2, at_least=False),
        Aim(f"{closing}, longest hold, ms", Figure(closing, held.MS), limit=30, at_least=False),
        Aim(f"{listing}, longest hold, ms", Figure(listing, held.MS), limit=1, at_least=False),
        Aim(f"{held.SUBMITS}, longest hold, ms", Figure(held.SUBMITS, held.MS)),
    ]


def _growth(size: Size) -> list[Aim]:
    return [
        _flat(growth.SUBMITS, "submits/s, {:,} pending against {:,}", size.pending),
        _flat(growth.PENDING, "jobs/s, {:,} pending against {:,}", size.pending),
        _flat(growth.KEPT, "jobs/s, {:,} records kept against {:,}", size.kept),
        Aim(f"jobs/s, {size.records:,} records of 1 KB kept (full) against none",
            _rate(growth.FULL), [_rate(growth.EMPTY)], 0.95),
        Aim("bytes per pending job", memory.PENDING, limit=400, at_least=False),
        Aim("bytes per kept record without a result", memory.KEPT, limit=430, at_least=False),
    ]  # fmt: skip


def _flat(name: str, what: str, numbers: Sequence[int]) -> Aim:
    few, many = min(numbers), max(numbers)
    rate = _rate(name.format(many))
    return Aim(what.format(many, few), rate, [_rate(name.format(few))], 0.9)


def _others(size: Size) -> list[Aim]:
    return [
        Aim(f"submit, p50, {size.waiting:,} waiting against none",
            Figure(latency.many_waiting(size), latency.P50),
            [Figure(latency.NONE_WAITING, latency.P50)], 1.1, at_least=False),
        Aim("jobs/s, log at its default level, against log off", _rate(quiet.DEFAULT),
            [_rate(quiet.OFF)], 0.95),
        Aim("status reads over HTTP, uvicorn, against a bare route",
            Figure(http_face.SERVED, http_face.UNIT),
            [Figure(http_face.SERVED_BARE, http_face.UNIT)], 0.5),
        Aim(f"{imports.OWN}, ms", Figure(imports.OWN, imports.MS)),
        Aim(f"{imports.COLD}, from the start of its process, ms",
            Figure(imports.COLD, imports.MS)),
    ]  # fmt: skip


def _durable(size: Size) -> list[Aim]:
    """Submissions wait for the disk, so they are compared by the clock."""
    huey, ours = durable.HUEY, (durable.ONE_BY_ONE, durable.BY_CALLERS, durable.BY_BATCHES)
    hold, empty = (Figure(name, durable.MS) for name in (durable.HOLD, durable.EMPTY_HOLD))
    seconds = restart.SECONDS.format(*restart.counts(size))
    return [
        *(Aim(f"submits/s over SqliteHuey: {name}", Figure(name, CLOCK), [Figure(huey, CLOCK)])
          for name in ours),
        Aim(f"submits/s: {durable.QUICK_COMMITS}", Figure(durable.QUICK_COMMITS, CLOCK),
            limit=10_000),
        Aim(f"{durable.HOLD}, over an empty loop", hold, [empty]),
        Aim(f"{seconds}, s", Figure(seconds, "s"), limit=2, at_least=False),
    ]  # fmt: skip


def _postgres(size: Size) -> list[Aim]:
    """Processes on a server, so they are compared by the clock; what the CPU says is told."""
    ours, theirs = (partial(postgres.figure, queue) for queue in (OURS, PGQUEUER))
    loaded = postgres.LOADED.format(*postgres.counts(size))
    return [
        *(Aim(f"jobs/s over PgQueuer, {count} worker processes", ours(jobs), [theirs(jobs)], 0.9)
          for count in postgres.WORKERS for jobs in [postgres.JOBS.format(count)]),
        *(Aim(f"jobs/s over PgQueuer, {count} worker processes, processor time",
              ours(jobs, PROCESSOR), [theirs(jobs, PROCESSOR)])
          for count in postgres.WORKERS for jobs in [postgres.JOBS.format(count)]),
        Aim("postgres, submits/s in batches of 1,000", ours(postgres.BATCHES), limit=10_000),
        Aim("postgres, submits/s by 10 callers", ours(postgres.BY_CALLERS), limit=5_000),
        Aim("postgres, idle submit to result in another process, p50, ms",
            ours(postgres.RESULT, postgres.P50), limit=8, at_least=False),
        Aim("postgres, cancel of a job that runs in another process, p50, ms",
            ours(postgres.CANCEL, postgres.P50), limit=15, at_least=False),
        Aim("postgres, ten jobs of a killed worker run again, s",
            ours(postgres.REDELIVERY, postgres.SECONDS), limit=10, at_least=False),
        Aim(f"postgres, {loaded}, over an empty table", ours(loaded),
            [ours(postgres.JOBS.format(1))], 0.7),
        Aim("postgres, jobs/s while a snapshot is held elsewhere, over PgQueuer",
            ours(postgres.HELD), [theirs(postgres.HELD)]),
    ]  # fmt: skip


def _rate(name: str) -> Figure:
    return Figure(name, PROCESSOR)


def judge(aim: Aim, results: Results) -> Verdict | None:
    """The verdict; None if the figure was not measured, or no peer was installed."""
    present = [figure for figure in aim.under if results.has(figure)]
    if not results.has(aim.over) or (aim.under and not present):
        return None
    values = results.values[aim.over]
    if present:
        values = results.ratios(aim.over, max(present, key=results.median))
    if aim.limit is None:
        return Verdict(aim.what, values, "", None)
    median = statistics.median(values)
    met = median >= aim.limit if aim.at_least else median <= aim.limit
    word = "at least" if aim.at_least else "at most"
    return Verdict(aim.what, values, f"{word} {aim.limit:g}", met)


def judge_all(size: Size, results: Results) -> list[Verdict]:
    verdicts = (judge(aim, results) for aim in aims(size))
    return [verdict for verdict in verdicts if verdict is not None]
