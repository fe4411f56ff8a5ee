"""``python -m tests.support.soak``: see :mod:`tests.support.soak.soaking`.

A seed replays the plan: every job, what its handler and its submitter do, how each life of
the queue ends. The timing of threads, of timers and of the machine is not replayed.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
from collections.abc import Callable, Sequence

from stoat_jobs import AsyncioJobQueue

from . import report
from .lives import RUNNERS
from .soaking import Plan, Soak, soak

STUCK = 10
"""Times the patience without a word: the event loop must be blocked, and the stacks are printed."""


def main(
    arguments: Sequence[str] | None = None,
    queue_type: Callable[..., AsyncioJobQueue] = AsyncioJobQueue,
) -> int:
    plan = _plan(arguments)
    print(report.opening(plan), flush=True)
    _still_here(plan)
    try:
        run = soak(plan, queue_type, _say)
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(*report.closing(run), sep="\n", flush=True)
    return 0 if run.good else 1


def _plan(arguments: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.support.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that a fault waits")
    parser.add_argument("--loop", choices=RUNNERS, default="asyncio")
    return Plan(**vars(parser.parse_args(arguments)))


def _say(run: Soak) -> None:
    _still_here(run.plan)
    print(report.progress(run), flush=True)


def _still_here(plan: Plan) -> None:
    faulthandler.dump_traceback_later(STUCK * plan.patience, exit=True, file=2)


if __name__ == "__main__":
    sys.exit(main())
