"""What is printed of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import memory
from .lives import SETTINGS
from .soaking import Plan, Soak

MIB = 1 << 20

BOUND = SETTINGS.drain_timeout + 2 * SETTINGS.cancel_grace + 1
"""Seconds in which a queue promises to stop."""


def opening(plan: Plan) -> str:
    return (
        f"seed {plan.seed}, {plan.jobs:,} jobs, concurrency {SETTINGS.concurrency}\n"
        f"replay with: nox -s soak -- --jobs {plan.jobs} --seed {plan.seed} --loop {plan.loop}"
    )


def progress(run: Soak) -> str:
    sample = run.samples[-1]
    return (
        f"{sample.jobs:>9,} jobs  {run.lives.number:>4} lives  {run.seconds:>6.0f} s"
        f"  {_rate(run):>6,.0f} jobs/s  {sample.resident / MIB:>6.1f} MiB"
        f"  {sample.objects:>7,} objects"
    )


def closing(run: Soak) -> Iterator[str]:
    yield "\nThe ledger"
    yield from _table(run.ledger.counts)
    yield from _table({"most jobs at once": run.ledger.most_at_once})
    yield "\nEnds"
    yield from _table(run.ledger.ends)
    yield "\nThe log"
    yield from _table(run.log)
    yield f"\nThroughput: {_rate(run):,.0f} jobs/s over {run.seconds:,.0f} s"
    yield f"Slowest stop of the queue: {run.lives.slowest_stop:.2f} s of {BOUND:.2f} s"
    yield f"Memory: {memory.peak() / MIB:.1f} MiB at its peak"
    yield from map(str, run.trends)
    if not run.trends:
        yield f"  (its course is judged from {memory.FEWEST} samples on: 250,000 jobs give enough)"
    left = ", ".join(f"{count} {what}" for what, count in run.lives.left.items())
    yield f"Left at the end: {left}"
    yield from run.faults.lines()
    yield "GOOD" if run.good else f"BAD; {opening(run.plan)}"


def _rate(run: Soak) -> float:
    return run.ledger.counts["accepted"] / run.seconds if run.seconds else 0.0


def _table(counts: Mapping[str, int]) -> Iterator[str]:
    for what, count in sorted(counts.items()):
        yield f"  {what:50} {count:>12,}"
