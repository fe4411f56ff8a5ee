"""What is to happen, drawn from seeded generators and from nothing else.

A life of the queue and each of its clients have a generator of their own, named by the
seed and their numbers, so that the order in which tasks get their turn changes no plan.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import accumulate
from typing import Any, Generic, TypeVar

T = TypeVar("T")

DEEPEST = 2
"""How often jobs submit jobs that submit jobs."""


class Weighted(Generic[T]):
    """Things to choose from, some more often than others."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self._things = list(weights)
        self._bounds = list(accumulate(weights.values()))

    def draw(self, rng: random.Random) -> T:
        return rng.choices(self._things, cum_weights=self._bounds)[0]


@dataclass(frozen=True)
class JobPlan:
    """One job: what its handler does, after so many rounds of the loop; plain JSON."""

    behaviour: str
    n: int
    yields: int = 0
    timeout: float | None = None
    child: dict[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        return {"plan": asdict(self)}


class Follow(Enum):
    """What a client does with a job that it has submitted."""

    NOTHING = "nothing"
    READ = "read it"
    LOOK_BACK = "read one of long before"
    LOOK_AROUND = "look at the list and the figures"
    WAIT = "wait for its end"
    CROWD = "wait and watch, several times at once"
    WAIT_AT_MOST = "wait, but not for long"
    WATCH = "watch it to its end"
    WATCH_AND_BREAK = "watch, and leave the loop"
    WATCH_AND_FORGET = "watch by single steps, and ask no more"
    WALK_AWAY = "wait or watch in a task that is cancelled"
    CANCEL = "cancel it"
    MEDDLE = "cancel the task of the newest job that runs, past the queue"


FOLLOWS = Weighted(
    {
        Follow.NOTHING: 100,
        Follow.READ: 8,
        Follow.LOOK_BACK: 2,
        Follow.LOOK_AROUND: 0.5,
        Follow.WAIT: 12,
        Follow.CROWD: 2,
        Follow.WAIT_AT_MOST: 5,
        Follow.WATCH: 8,
        Follow.WATCH_AND_BREAK: 5,
        Follow.WATCH_AND_FORGET: 5,
        Follow.WALK_AWAY: 8,
        Follow.CANCEL: 14,
        Follow.MEDDLE: 2,
    }
)

# Seconds before a follow-up behaviours, or for which it waits; None: in the same round of the loop.
DELAYS: Weighted[float | None] = Weighted({None: 4, 0.0: 4, 0.001: 2, 0.01: 2, 0.04: 1})


@dataclass(frozen=True)
class Order:
    """One submission by a client."""

    job: JobPlan
    key: str | None
    metadata: dict[str, str] | None
    follow: Follow
    amount: int
    """Records to look at before leaving, and the like."""
    delay: float | None
    pause: float | None
    """Seconds before the next submission; None: at once."""


PAUSES: Weighted[float | None] = Weighted({None: 96, 0.0: 3.5, 0.001: 0.5})


class Planner:
    """Draws the orders of one client."""

    def __init__(self, rng: random.Random, behaviours: Weighted[str]) -> None:
        self._rng = rng
        self._behaviours = behaviours

    def order(self, n: int) -> Order:
        rng = self._rng
        keyed, follow = rng.random() < 0.08, FOLLOWS.draw(rng)
        return Order(
            job=self._job(n),
            key=f"key {rng.randrange(5)}" if keyed else None,
            metadata={"n": str(n)} if rng.random() < 0.2 else None,
            # Who is told to stop gives its key away.
            follow=Follow.CANCEL if keyed and rng.random() < 0.3 else follow,
            amount=rng.randrange(4),
            delay=DELAYS.draw(rng),
            pause=PAUSES.draw(rng),
        )

    def _job(self, n: int, depth: int = 0) -> JobPlan:
        rng = self._rng
        behaviour = self._behaviours.draw(rng)
        child = None
        if "submits" in behaviour:
            child = asdict(self._job(n, depth + 1))
            if depth >= DEEPEST:
                behaviour, child = "returns", None
        # Hundreds of different limits: the watch over deadlines has a group for each.
        timeout = rng.randrange(100, 300) / 10_000 if rng.random() < 0.2 else None
        return JobPlan(behaviour, n, rng.choice((0, 0, 0, 1, 2)), timeout, child)


class Ending(Enum):
    """How a life of the queue ends."""

    QUIET = "left when every job had ended"
    BUSY = "left with jobs pending and running"
    ERROR = "left by an exception in the body"
    SHUTDOWN_CANCELLED = "left, and the shutdown cancelled"
    LOOP_ENDS = "held until the event loop cancelled everything"


ENDINGS = Weighted(
    {
        Ending.QUIET: 8,
        Ending.BUSY: 5,
        Ending.ERROR: 3,
        Ending.SHUTDOWN_CANCELLED: 3,
        Ending.LOOP_ENDS: 2,
    }
)


class Mood(Enum):
    """What most jobs of a life are like."""

    MIXED = "mixed"
    SLOW = "slow"
    """Every slot is taken by a handler that waits."""


MOODS = Weighted({Mood.MIXED: 3, Mood.SLOW: 1})


@dataclass(frozen=True)
class LifePlan:
    """From one start of the queue to its stop."""

    number: int
    clients: int
    jobs: int
    mood: Mood
    ending: Ending
    delay: float | None
    """Seconds from the beginning of the shutdown to its cancellation."""
    new_loop: bool
    """Whether the next life has an event loop of its own."""

    @staticmethod
    def draw(seed: int, number: int, most_jobs: int) -> LifePlan:
        rng = random.Random(f"{seed} life {number}")
        ending = ENDINGS.draw(rng)
        return LifePlan(
            number=number,
            clients=rng.randrange(1, 7),
            jobs=rng.randrange(most_jobs // 4, most_jobs),
            mood=MOODS.draw(rng),
            ending=ending,
            delay=DELAYS.draw(rng),
            new_loop=ending is Ending.LOOP_ENDS or rng.random() < 0.1,
        )


def client_rng(seed: int, life: int, client: int) -> random.Random:
    return random.Random(f"{seed} life {life} client {client}")
