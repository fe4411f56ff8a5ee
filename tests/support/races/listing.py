"""The list of races: who takes part is in each, and how it may go is said beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from ..stores import BACKENDS
from .arena import Heat

COMPLETED, TIMED_OUT, REFUSED = "completed", "timeout Timeout", "refused"
OWN_ERROR, OWN_CANCEL = "failed ValueError", "failed CancelledError"
CANCELLED, SHUTDOWN = "cancelled Cancelled", "cancelled Shutdown"
REQUEUED = "requeued"
"""What SHUTDOWN is on a durable queue: the job was left in the store, and ran again after it."""

ENDS = (COMPLETED, OWN_ERROR, OWN_CANCEL)
"""How a job ends that was not told to stop."""

MANY = 2000
"""Heats of those races that users of other queues have lost."""

Run = Callable[[Heat], Awaitable[str | None]]


class Race(NamedTuple):
    """A race.

    Attributes:
        run: one heat; gives how it went where the end of the job does not say it.
        ways: how it goes; each of them must come up, for a race that one side always wins
            is none.
        durable: the same on a queue with a store.
        also: how it may go on some backends.
        heats: how often it is run on the first backend; a fifth of that on each other.
    """

    name: str
    run: Run
    ways: frozenset[str]
    durable: frozenset[str]
    also: frozenset[str]
    backends: tuple[str, ...]
    settings: dict[str, Any]
    heats: int

    def __repr__(self) -> str:
        return self.name

    def ways_on(self, backend: str) -> frozenset[str]:
        """How it goes on *backend*."""
        return self.durable if backend == "stored" else self.ways


def race(
    *ways: str,
    never_durable: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    backends: tuple[str, ...] = tuple(BACKENDS),
    heats: int = 200,
    **settings: Any,
) -> Callable[[Run], Race]:
    """Make a race of a function that runs one heat of it.

    On a durable queue it goes the same ways, except those in *never_durable*.
    """
    durable = [REQUEUED if way == SHUTDOWN else way for way in ways if way not in never_durable]

    def named(run: Run) -> Race:
        name = run.__name__
        sets = frozenset(ways), frozenset(durable), frozenset(also)
        return Race(name, run, *sets, backends, settings, heats)

    return named
