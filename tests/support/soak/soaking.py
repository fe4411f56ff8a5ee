"""One run: lives of a queue until there were enough jobs, and the verdict."""

from __future__ import annotations

import logging
import random
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stoat_jobs import AsyncioJobQueue

from ..listening import listening
from . import memory
from .ledger import Faults, Ledger
from .lives import Lives
from .memory import Sample, Trend

NEVER = ("observer_dropped", "handler_unstoppable", "store_failed")
"""Events of the log that nothing here should bring about."""

SHORTEST, LONGEST = 300, 2000
"""Jobs that clients submit in the longest lives of the queue, in short runs and in long ones."""

SAMPLED = 5000
"""Jobs from one sample of memory to the next, at least."""

LONG = 100_000
"""Jobs of a run in which every behaviour should end undisturbed now and then.

In a short one a slow machine may let them all be late.
"""

OFTEN = 20
"""Ends of one behaviour of which one at least should have been undisturbed, in a long run."""


@dataclass(frozen=True)
class Plan:
    """What is asked of a run."""

    jobs: int
    seed: int
    patience: float = 60.0
    """Real seconds in which something that is due has to come; only a fault waits so long."""
    loop: str = "asyncio"


@dataclass
class Soak:
    """What came of a run."""

    plan: Plan
    lives: Lives
    before: Sample
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    log: Counter[str] = field(default_factory=Counter)

    @property
    def ledger(self) -> Ledger:
        return self.lives.ledger

    @property
    def faults(self) -> Faults:
        return self.ledger.faults

    @property
    def trends(self) -> list[Trend]:
        return memory.trends(self.samples)

    @property
    def good(self) -> bool:
        return not self.faults.counts and all(trend.flat for trend in self.trends)


def soak(
    plan: Plan,
    queue_type: Callable[..., AsyncioJobQueue] = AsyncioJobQueue,
    progress: Callable[[Soak], object] = lambda soak: None,
) -> Soak:
    """Run at least ``plan.jobs`` jobs, and hold everything against the ledger."""
    most_jobs = min(LONGEST, max(SHORTEST, plan.jobs // 4))
    lives = Lives(plan.seed, most_jobs, plan.patience, queue_type, plan.loop)
    run = Soak(plan, lives, memory.take(0))
    random.seed(plan.seed)  # the queue draws the delays of retries from it
    began = time.monotonic()
    with _all_ears(run):
        while not _enough(run):
            run.lives.in_one_loop(lambda: _enough(run))
            run.seconds = time.monotonic() - began
            if _is_due(run):
                _sample(run)
                progress(run)
    _check_totals(run)
    return run


def _enough(run: Soak) -> bool:
    return run.ledger.counts["accepted"] >= run.plan.jobs or bool(run.faults.counts)


def _is_due(run: Soak) -> bool:
    """Whether to sample: now and then, and at the end, unless it is known to be bad by then."""
    last = run.samples[-1].jobs if run.samples else 0
    enough = run.ledger.counts["accepted"] >= min(last + SAMPLED, run.plan.jobs)
    return enough and not run.faults.counts


def _sample(run: Soak) -> None:
    run.lives.empty()
    run.samples.append(memory.take(run.ledger.counts["accepted"]))
    # What was there before the first job are constants.
    if left := Counter(run.samples[-1].left) - Counter(run.before.left):
        run.faults.add("objects of jobs that are long over", left)


def _check_totals(run: Soak) -> None:
    """The sums of the ledger, of the observers and of the log are the same."""
    counts, log = run.ledger.counts, run.log
    same = {
        "accepted and told": (counts["accepted"], counts["submitted"]),
        "accepted and terminal": (counts["accepted"], counts["terminal"]),
        "accepted, in the log": (counts["accepted"], log["job_submitted"]),
        "terminal, in the log": (counts["terminal"], sum(log[name] for name in FINISHED)),
        "abandoned, in the log": (counts["abandoned"], log["job_abandoned"]),
        "attempts, in the log": (
            counts["started"] + counts["further attempts"],
            log["job_started"],
        ),
        "lives, in the log": (log["worker_started"], log["worker_stopped"]),
    }
    for what, (one, other) in same.items():
        if one != other:
            run.faults.add(f"sums that differ: {what}", f"{one} {other}")
    if run.plan.jobs >= LONG:
        _check_own_ends(run)
    for name in NEVER:
        if log[name]:
            run.faults.add(f"the log has {name}", log[name])


def _check_own_ends(run: Soak) -> None:
    for behaviour, others in run.ledger.other_ends.items():
        if others > OFTEN and not run.ledger.own_ends[behaviour]:
            run.faults.add("a behaviour that never ends as it should when left alone", behaviour)


FINISHED = ("job_completed", "job_failed", "job_timeout", "job_cancelled", "jobs_cancelled")


# What is said elsewhere.


class _Counting(logging.Handler):
    """Counts a log's events; of a line for several jobs, these."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def emit(self, record: logging.LogRecord) -> None:
        self._counts[record.getMessage()] += getattr(record, "count", 1)


@contextmanager
def _all_ears(run: Soak) -> Iterator[None]:
    """Count what is logged, and take errors that nobody caught for faults."""
    hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda args: run.faults.add("an error that Python could not raise", args)
    threading.excepthook = lambda args: run.faults.add("an error ended a thread", args)
    try:
        with listening(_Counting(run.log), logging.INFO, alone=True), warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        sys.unraisablehook, threading.excepthook = hooks
