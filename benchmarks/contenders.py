"""The queues that take part in a comparison of rates, and how one of them is run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from . import redis_peers
from .measure import Bench, Round, Size, Stopwatch, require

# A queue on Redis sometimes loses a job or never returns; that must not end the whole run.
_TRIES = 3
_PATIENCE = 60.0


class Contender(NamedTuple):
    """A queue that takes part; slow ones run fewer jobs (``share``), to their advantage."""

    name: str
    run: Callable[[int, Stopwatch], Awaitable[int]]
    against: str  # the one whose rate it is compared with
    share: float = 1.0
    module: str | None = None
    redis: int = 0  # the oldest version that it supports


def benches(contenders: Sequence[Contender], size: Size) -> list[Bench]:
    """The benchmarks of all *contenders* that are installed."""
    return [_bench(one, size) for one in contenders if _absence(one) is None]


def left_out(contenders: Sequence[Contender]) -> list[str]:
    """The *contenders* that are not measured, and why."""
    absences = ((one.name, _absence(one)) for one in contenders)
    return [f"{name}: {reason}" for name, reason in absences if reason is not None]


def _absence(one: Contender) -> str | None:
    if one.module is not None and find_spec(one.module) is None:
        return "not installed"
    if one.redis > redis_peers.server():
        return f"no Redis {one.redis} or newer answers"
    return None


def _bench(one: Contender, size: Size) -> Bench:
    jobs = max(100, round(size.jobs * one.share))
    return Bench((one.name,), partial(_run, one, jobs), partial(_run, one, 100))


def _run(one: Contender, jobs: int) -> Round:
    ended, tries = 0, _TRIES if one.redis else 1
    while ended != jobs and tries:
        watch, tries = Stopwatch(), tries - 1
        ended = asyncio.run(_awaited(one, jobs, watch))
    require(ended, jobs, f"jobs of {one.name}")
    return watch.rates(one.name, jobs)


async def _awaited(one: Contender, jobs: int, watch: Stopwatch) -> int:
    try:
        return await asyncio.wait_for(one.run(jobs, watch), _PATIENCE)
    except TimeoutError:
        return 0
