"""How everything here is measured: rounds in random order, the same for all.

A benchmark gives some figures a round. What counts is the ratio of two figures of the same
round, and of these the median, so that what slows the whole machine down falls out.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

CLOCK = "jobs/s"
PROCESSOR = "jobs per cpu-s"


class Figure(NamedTuple):
    """What is measured, and its unit."""

    name: str
    unit: str


Round = Mapping[Figure, float]


class WrongCountError(Exception):
    """A benchmark did not do what it claims."""


def require(found: object, expected: object, what: str) -> None:
    """End the whole run when a count is wrong: its time would mean nothing."""
    if found != expected:
        raise WrongCountError(f"{what}: {found} where {expected} were expected")


class Stopwatch:
    """Seconds inside ``with``: of the clock, and of the process's processor time (all threads).

    The collector of garbage is run before and left on inside, as it is in an app.
    """

    wall = 0.0
    cpu = 0.0

    def __enter__(self) -> Self:
        gc.collect()
        self._cpu = time.process_time()
        self._wall = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu

    def rates(self, name: str, jobs: int) -> Round:
        """*jobs* for each second of the clock, and of processor time."""
        return {Figure(name, CLOCK): jobs / self.wall, Figure(name, PROCESSOR): jobs / self.cpu}


@dataclass(frozen=True)
class Size:
    """How much of everything one round takes."""

    rounds: int
    jobs: int
    samples: int
    waiting: int
    watchers: int
    streams: int
    records: int
    growth: Sequence[int]


FULL = Size(
    rounds=7,
    jobs=10_000,
    samples=2_000,
    waiting=10_000,
    watchers=10_000,
    streams=1_000,
    records=10_000,
    growth=(100, 1_000, 10_000, 100_000, 1_000_000),
)
QUICK = Size(
    rounds=3,
    jobs=1_000,
    samples=200,
    waiting=1_000,
    watchers=1_000,
    streams=100,
    records=1_000,
    growth=(100, 1_000, 10_000),
)


@dataclass(frozen=True)
class Bench:
    """One benchmark; ``warm_up`` is a short form of it whose time does not count."""

    name: str
    run: Callable[[], Round]
    warm_up: Callable[[], object] = lambda: None


class Results:
    """The values of each figure, one for each round, in the same order for all."""

    def __init__(self) -> None:
        self.values: dict[Figure, list[float]] = defaultdict(list)

    def add(self, found: Round) -> None:
        for figure, value in found.items():
            self.values[figure].append(value)

    def median(self, figure: Figure) -> float:
        return statistics.median(self.values[figure])

    def has(self, figure: Figure) -> bool:
        return figure in self.values

    def ratios(self, over: Figure, under: Figure) -> list[float]:
        """One figure by another, round for round."""
        return [a / b for a, b in zip(self.values[over], self.values[under], strict=True)]


def run_rounds(benches: Sequence[Bench], rounds: int, say: Callable[[str], None]) -> Results:
    """Run all *benches* *rounds* times, each time in another order."""
    for bench in benches:
        bench.warm_up()
    gc.collect()
    gc.freeze()  # what was imported is not looked through again and again
    results = Results()
    for number in range(1, rounds + 1):
        begun = time.perf_counter()
        for bench in random.sample(benches, len(benches)):
            results.add(bench.run())
        say(f"round {number} of {rounds}: {time.perf_counter() - begun:.0f} s")
    return results
