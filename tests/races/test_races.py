"""Whoever comes first in a tick, every promise is kept.

``RACES_FACTOR=25`` in the environment runs 25 times as many heats.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoat_jobs.testing._clock import wind_down

from . import closing, looking, stopping
from .arena import Arena, ErrorLog
from .listing import COMPLETED, Race
from .loop import ShuffledLoop
from .promise import judge

RACES = [
    thing
    for module in (stopping, closing, looking)
    for thing in vars(module).values()
    if isinstance(thing, Race)
]

FACTOR = int(os.environ.get("RACES_FACTOR", "1"))

LONGEST = 40
"""Bytes of a plan, or of an order; what comes after them is plain."""

CASES = [(race, backend) for race in RACES for backend in race.backends]


@pytest.mark.parametrize(("race", "backend"), CASES, ids=str)
def test_each_race_goes_every_way_and_keeps_every_promise__fault_11(
    race: Race, backend: str
) -> None:
    """Heat after heat one side or another comes first, and all that was promised holds."""
    with arena_of(race, backend) as arena:
        ways = arena.loop.run_until_complete(run_heats(arena, race, heats_of(race, backend)))
    assert set(ways) <= race.ways | race.also
    if backend == race.backends[0]:
        assert set(ways) >= race.ways, "a race that one side always wins is none"


def heats_of(race: Race, backend: str) -> int:
    """How many heats: the first of a race's backends has most of them."""
    fifth = FACTOR * race.heats // 5
    return fifth if backend != race.backends[0] else (6 - len(race.backends)) * fifth


async def run_heats(arena: Arena, race: Race, number: int) -> Counter[str]:
    """Run so many heats, every other one in asyncio's own order; how they went."""
    source = random.Random(f"{race.name} {arena.backend}")
    ways: Counter[str] = Counter()
    for each in range(number):
        plan = source.randbytes(LONGEST)
        order = source.randbytes(LONGEST) if each % 2 else b""
        try:
            ways[await run_heat(arena, race, plan, order)] += 1
        except BaseException as error:
            raise AssertionError(f"plan={plan!r}, order={order!r}") from error
    return ways


async def run_heat(arena: Arena, race: Race, plan: bytes, order: bytes) -> str:
    heat = arena.new_heat(plan, order)
    return await race.run(heat) or await judge(heat)


@given(
    case=st.sampled_from(CASES),
    plan=st.binary(max_size=LONGEST),
    order=st.binary(max_size=LONGEST),
)
@settings(max_examples=100 * FACTOR, deadline=None, derandomize=True, database=None)
def test_any_order_of_a_tick_keeps_every_promise(
    case: tuple[Race, str], plan: bytes, order: bytes
) -> None:
    """Hypothesis finds no order of what happens in a tick that breaks a promise."""
    race, backend = case
    with arena_of(race, backend) as arena:
        way = arena.loop.run_until_complete(run_heat(arena, race, plan, order))
    assert way in race.ways | race.also


@contextmanager
def arena_of(race: Race, backend: str) -> Iterator[Arena]:
    """A started queue on a loop of its own; in the end it runs one more job, and stops."""
    loop = ShuffledLoop()
    try:
        with ErrorLog() as errors:
            arena = loop.run_until_complete(_begin(race, backend, errors))
            yield arena
            loop.run_until_complete(_end(arena))
    finally:
        wind_down(loop)


async def _begin(race: Race, backend: str, errors: ErrorLog) -> Arena:
    arena = Arena(backend, race.settings, errors)
    await arena.bench.open()
    return arena


async def _end(arena: Arena) -> None:
    heat = arena.new_heat(b"", b"")
    await heat.begin("hold")
    assert await judge(heat) == COMPLETED
    await arena.bench.close()
