"""Processes whose handlers do not stop: they leave all the same.

``python -m tests.support.exits``: how long queues take to stop, and processes to end.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .exits_program import BOUND
from .programs import run_python

PROGRAM = ("-m", "tests.support.exits_program")
ROOT = Path(__file__).parents[2]

STUCK = ["stuck"] * 10
RESISTING = ["spinning_on", "deaf", "tidying"]
EVERYTHING = [*STUCK, "spinning", *RESISTING]

CASES = [
    ("leave", STUCK),
    ("leave", ["spinning"]),
    ("leave", RESISTING),
    ("cut-off", EVERYTHING),
    ("cut-short", EVERYTHING),
]

TRIES = 3
"""Runs of which one has to be in time: a machine may be slow, but not always."""


@dataclass(frozen=True)
class Exit:
    """How a process left."""

    ends: list[str]
    """The error type of each job."""
    abandoned: int
    """Handlers that were still at it when the queue had stopped."""
    began_at: float
    """When the queue began to stop, on the clock that all processes share."""
    stop_s: float
    """Seconds that the stop of the queue took."""
    exit_s: float
    """Seconds until the process had left."""
    log: Counter[str]
    """Lines: the event, and its job type."""

    @property
    def in_time(self) -> bool:
        return self.stop_s <= self.exit_s <= BOUND


def leave(how: str, *job_types: str) -> Exit:
    """Run the program until it has left in time, or was late too often to be so by chance.

    Raises:
        TimeoutExpired: it stays.
    """
    for _ in range(TRIES):
        seen = _leave_once(how, job_types)
        if seen.in_time:
            break
    return seen


def _leave_once(how: str, job_types: Sequence[str]) -> Exit:
    done = run_python(*PROGRAM, how, *job_types, cwd=ROOT)
    seen = json.loads(done.stdout)
    exit_s = time.monotonic() - seen["began_at"]
    return Exit(exit_s=exit_s, log=Counter(done.stderr.splitlines()), **seen)


def main() -> int:
    late = False
    for how, job_types in CASES:
        seen = leave(how, *job_types)
        late = late or not seen.in_time
        names = ", ".join(f"{job_types.count(name)} {name}" for name in dict.fromkeys(job_types))
        print(
            f"{seen.stop_s:5.2f} s, {seen.exit_s:.2f} s of {BOUND:.2f} s  {how:9} {names}",
            flush=True,
        )
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
