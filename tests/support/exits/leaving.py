"""Start a program, and see it leave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .program import BOUND

PROGRAM = Path(__file__).with_name("program.py")

HANG = 60
"""Real seconds after which a process that should have left is killed."""

TRIES = 3
"""Runs of which one has to be in time: a machine may be slow, but not always."""


@dataclass(frozen=True)
class Exit:
    """How a process left."""

    code: int
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
    command = [sys.executable, str(PROGRAM), how, *job_types]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert done.stdout, done.stderr
    seen = json.loads(done.stdout)
    exit_s = time.monotonic() - seen["began_at"]
    return Exit(done.returncode, exit_s=exit_s, log=Counter(done.stderr.splitlines()), **seen)
