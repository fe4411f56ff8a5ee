"""Start a program, and see it leave."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .program import BOUND

PROGRAM = Path(__file__).with_name("program.py")

HANG = 60
"""Real seconds after which a process that should have left is killed."""


@dataclass(frozen=True)
class Exit:
    """How a process left."""

    code: int
    ends: list[str]
    """The error type of each job."""
    abandoned: int
    """Handlers that were still at it when the queue had stopped."""
    stop_s: float
    """Seconds that the stop of the queue took, by its loop's clock."""
    log: Counter[str]
    """Lines: the event, and its job type."""

    @property
    def in_time(self) -> bool:
        return self.stop_s <= BOUND


def leave(how: str, *job_types: str) -> Exit:
    """Run the program until it has left.

    Raises:
        TimeoutExpired: it stays.
    """
    command = [sys.executable, str(PROGRAM), how, *job_types]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert done.stdout, done.stderr
    return Exit(done.returncode, log=Counter(done.stderr.splitlines()), **json.loads(done.stdout))
