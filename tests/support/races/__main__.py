"""``python -m tests.support.races RACE BACKEND PLAN ORDER``: a heat again, as its failure says."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ...races.test_races import RACES, arena_of, run_heat


def main(arguments: Sequence[str]) -> int:
    name, backend, plan, order = arguments
    race = next(race for race in RACES if race.name == name)
    with arena_of(race, backend) as arena:
        heat = run_heat(arena, race, bytes.fromhex(plan), bytes.fromhex(order))
        print(arena.loop.run_until_complete(heat))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
