"""The aims: limits for ratios of figures of the same run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from . import growth, http_face, latency, memory, quiet, throughput
from .measure import PROCESSOR, Figure, Results, Size


class Aim(NamedTuple):
    """A limit for a figure, or for its ratio to another one; of several peers the best counts."""

    what: str
    over: Figure
    under: Sequence[Figure]
    limit: float
    at_least: bool = True


class Verdict(NamedTuple):
    """An aim, and the measured values."""

    what: str
    values: list[float]
    aim: str
    met: bool


def aims(size: Size) -> list[Aim]:
    """All aims; throughput is judged by CPU time, which is disturbed less by other processes."""
    return [*_throughput(), *_calls(size), *_growth(size)]


def _throughput() -> list[Aim]:
    ours, floor = _rate(throughput.OURS), _rates(throughput.FLOOR_C)
    one, floor_one = _rate(throughput.OURS_ONE), _rates(throughput.FLOOR_C_ONE)
    return [
        Aim("jobs/s, 100 slots, against floor C", ours, floor, 1.4),
        Aim("jobs/s, 1 slot, against floor C", one, floor_one, 1.1),
        Aim("jobs/s, payload of 3 fields, 100 slots, against floor C",
            _rate(throughput.PAYLOAD), floor, 0.8),
        Aim("jobs/s against aiojobs at its best", ours, _rates(*throughput.AIOJOBS), 1.5),
        Aim("jobs/s against taskiq InMemoryBroker at its best", ours,
            _rates(*throughput.TASKIQ), 5.0),
        Aim("jobs/s, log at its default level, against log off", _rate(quiet.DEFAULT),
            _rates(quiet.OFF), 0.95),
    ]  # fmt: skip


def _calls(size: Size) -> list[Aim]:
    waiting = Figure(latency.many_waiting(size), latency.P50)
    return [
        Aim("idle submit to result, p50, against floor C", Figure(latency.OURS, latency.P50),
            [Figure(latency.FLOOR_C, latency.P50)], 0.8, at_least=False),
        Aim(f"submit, p50, {size.waiting:,} waiting against none", waiting,
            [Figure(latency.NONE_WAITING, latency.P50)], 1.1, at_least=False),
        Aim("status reads over HTTP, uvicorn, against a bare route",
            Figure(http_face.SERVED, http_face.UNIT),
            [Figure(http_face.SERVED_BARE, http_face.UNIT)], 0.5),
        Aim("bytes per kept finished record", memory.BYTES, [], 500, at_least=False),
    ]  # fmt: skip


def _growth(size: Size) -> list[Aim]:
    few, many = min(size.growth), max(size.growth)
    return [
        Aim(f"jobs/s, {many:,} pending against {few:,}", _rate(growth.PENDING.format(many)),
            _rates(growth.PENDING.format(few)), 0.9),
        Aim(f"jobs/s, {many:,} records kept against {few:,}", _rate(growth.KEPT.format(many)),
            _rates(growth.KEPT.format(few)), 0.9),
        Aim(f"jobs/s, {size.records:,} records of 1 KB kept (full) against none",
            _rate(growth.FULL), _rates(growth.EMPTY), 0.95),
    ]  # fmt: skip


def _rate(name: str) -> Figure:
    return Figure(name, PROCESSOR)


def _rates(*names: str) -> list[Figure]:
    return [_rate(name) for name in names]


def judge(aim: Aim, results: Results) -> Verdict | None:
    """The verdict; None if the figure was not measured, or no peer was installed."""
    present = [figure for figure in aim.under if results.has(figure)]
    if not results.has(aim.over) or (aim.under and not present):
        return None
    values = results.values[aim.over]
    if present:
        values = results.ratios(aim.over, max(present, key=results.median))
    median = statistics.median(values)
    met = median >= aim.limit if aim.at_least else median <= aim.limit
    word = "at least" if aim.at_least else "at most"
    return Verdict(aim.what, values, f"{word} {aim.limit:g}", met)


def judge_all(size: Size, results: Results) -> list[Verdict]:
    verdicts = (judge(aim, results) for aim in aims(size))
    return [verdict for verdict in verdicts if verdict is not None]
