"""How everything here is measured: in rounds, each in random order.

A benchmark returns some figures for each round. The result is the median of the ratios of two
figures of the same round, so that a slow moment of the machine cancels out. What is compared is
measured close together: a round shuffles the subjects, and the benchmarks of each subject.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")

CLOCK = "jobs/s"
PROCESSOR = "jobs per cpu-s"


class Figure(NamedTuple):
    """The name of a measured value, and its unit."""

    name: str
    unit: str


Round = Mapping[Figure, float]


class WrongCountError(Exception):
    """A benchmark did not do the work that it measures."""


def require(found: object, expected: object, what: str) -> None:
    """End the whole run if a count is wrong, because then the time means nothing."""
    if found != expected:
        raise WrongCountError(f"{what}: {found}, expected {expected}")


class Stopwatch:
    """Measures the seconds inside ``with``: wall clock, and CPU time of all threads.

    Garbage is collected before, and garbage collection stays on inside, as in an app.
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
        """*jobs* per second of the wall clock, and per second of CPU time."""
        return {Figure(name, CLOCK): jobs / self.wall, Figure(name, PROCESSOR): jobs / self.cpu}


@dataclass(frozen=True)
class Size:
    """The numbers of jobs, samples and so on for one round."""

    rounds: int
    jobs: int
    samples: int
    waiting: int
    watchers: int
    streams: int
    records: int
    pending: Sequence[int]
    kept: Sequence[int]


FULL = Size(
    rounds=9,
    jobs=10_000,
    samples=2_000,
    waiting=10_000,
    watchers=10_000,
    streams=1_000,
    records=10_000,
    pending=(100, 10_000, 500_000),
    kept=(100, 10_000, 1_000_000),
)
JUDGING = replace(FULL, rounds=9, jobs=5_000, pending=(100, 500_000), kept=(100, 100_000))
QUICK = Size(
    rounds=3,
    jobs=1_000,
    samples=200,
    waiting=1_000,
    watchers=1_000,
    streams=100,
    records=1_000,
    pending=(100, 10_000),
    kept=(100, 10_000),
)


@dataclass(frozen=True)
class Bench:
    """One benchmark, by the names of its figures; ``warm_up`` is a short run, not measured."""

    names: tuple[str, ...]
    run: Callable[[], Round]
    warm_up: Callable[[], object] = lambda: None


class Results:
    """The values of each figure, in the order of the rounds."""

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
        """The ratio of two figures in each round."""
        return [a / b for a, b in zip(self.values[over], self.values[under], strict=True)]


def run_rounds(
    subjects: Sequence[Sequence[Bench]], rounds: int, say: Callable[[str], None]
) -> Results:
    """Run all benchmarks *rounds* times, each time in a different order."""
    for bench in chain.from_iterable(subjects):
        bench.warm_up()
    results = Results()
    with _frozen():
        for number in range(1, rounds + 1):
            begun = time.perf_counter()
            for subject in _shuffled(subjects):
                for bench in _shuffled(subject):
                    results.add(_run(bench))
            say(f"round {number} of {rounds}: {time.perf_counter() - begun:.0f} s")
    return results


@contextmanager
def _frozen() -> Iterator[None]:
    """Imported modules are not traversed by each garbage collection."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _shuffled(items: Sequence[T]) -> list[T]:
    return random.sample(items, len(items))


def _run(bench: Bench) -> Round:
    """Run *bench*; its figures must be those that it names, or an aim could miss one."""
    found = bench.run()
    require({figure.name for figure in found}, {*bench.names}, "figures")
    return found
