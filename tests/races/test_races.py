"""Whoever comes first in a tick, every promise is kept.

``RACES_FACTOR=25`` in the environment runs 25 times as many heats.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shlex
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from stoat_jobs import AsyncioJobQueue
from stoat_jobs.testing._clock import wind_down

from ..support.listening import listening
from ..support.races import closing, looking, stopping
from ..support.races.arena import Arena, ErrorLog
from ..support.races.inline import inline_stores
from ..support.races.listing import COMPLETED, Race
from ..support.races.loop import ShuffledLoop
from ..support.races.promise import judge
from ..support.stores import BACKENDS

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
    assert set(ways) <= race.ways_on(backend) | race.also
    if backend in (race.backends[0], "stored"):
        assert set(ways) >= race.ways_on(backend), "a race that one side always wins is none"


def heats_of(race: Race, backend: str) -> int:
    """How many heats: all on the first of a race's backends, and a fifth on each other.

    A durable queue has at least 200, as it goes ways of its own, and each must come up.
    """
    if backend == race.backends[0]:
        return FACTOR * race.heats
    return FACTOR * max(race.heats // 5, 200 if backend == "stored" else 0)


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
            raise AssertionError(replay(race, arena.backend, plan, order)) from error
    return ways


def replay(race: Race, backend: str, plan: bytes, order: bytes) -> str:
    """How to run a heat again."""
    arguments = [race.name, backend, plan.hex(), order.hex()]
    return f"replay with: {shlex.join(['python', '-m', 'tests.support.races', *arguments])}"


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
    note(replay(race, backend, plan, order))
    with arena_of(race, backend) as arena:
        way = arena.loop.run_until_complete(run_heat(arena, race, plan, order))
    assert way in race.ways_on(backend) | race.also


class LooksThenCancels(AsyncioJobQueue):
    """Answers by what it saw one turn of the loop before it cancels."""

    async def cancel(self, job_id: str) -> bool:
        answer = not (await self.get_status(job_id)).is_terminal
        await asyncio.sleep(0)
        await super().cancel(job_id)
        return answer


def test_a_race_that_is_lost_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that looks before it leaps loses; its failure names the heat, which is lost again."""
    from ..support.races.__main__ import main

    race = stopping.cancel_and_return
    monkeypatch.setitem(BACKENDS, "asyncio", LooksThenCancels)
    with pytest.raises(
        AssertionError, match="^replay with: python -m tests.support.races "
    ) as caught:
        with arena_of(race, "asyncio") as arena:
            arena.loop.run_until_complete(run_heats(arena, race, race.heats))
    arguments = shlex.split(str(caught.value))[5:]
    for _ in range(2):
        with pytest.raises(AssertionError) as lost:
            main(arguments)
        assert place_of(lost.value) == place_of(caught.value.__cause__)


def place_of(error: BaseException | None) -> traceback.FrameSummary:
    """The line that raised it."""
    assert error is not None
    return traceback.extract_tb(error.__traceback__)[-1]


def test_a_race_that_is_won_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    """A heat that is run again prints how it went."""
    from ..support.races.__main__ import main

    assert main(["cancel_and_return", "asyncio", "", ""]) == 0
    assert capsys.readouterr().out == "cancelled Cancelled\n"


@contextmanager
def arena_of(race: Race, backend: str) -> Iterator[Arena]:
    """A started queue on a loop of its own; in the end it runs one more job, and stops."""
    loop = ShuffledLoop()
    try:
        with inline_stores(), listening(ErrorLog(), logging.ERROR, alone=True) as errors:
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
