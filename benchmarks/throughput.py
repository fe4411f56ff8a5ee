"""Jobs per second: from a burst of submissions until each terminal record is read by id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from . import floor_d, floors, loop_peers, ours, redis_peers, thread_peers
from .measure import Bench, Round, Size, Stopwatch, require

OURS, OURS_ONE = "asyncio, 100 slots", "asyncio, 1 slot"
PAYLOAD, PAYLOAD_ONE = "asyncio, 100 slots, payload of 3 fields", "asyncio, 1 slot, payload"
FLOOR_C, FLOOR_C_ONE = "floor C, 100 workers", "floor C, 1 worker"
AIOJOBS = ("aiojobs, no limit", "aiojobs, limit 100")
TASKIQ = ("taskiq InMemoryBroker, inplace", "taskiq InMemoryBroker, tasks")


# A queue on Redis sometimes loses a job or never returns; that must not end the whole run.
_TRIES = 3
_PATIENCE = 60.0


class Contender(NamedTuple):
    """A queue that takes part; slow ones run fewer jobs (``share``), to their advantage."""

    name: str
    run: Callable[[int, Stopwatch], Awaitable[int]]
    floor: str = FLOOR_C
    share: float = 1.0
    module: str | None = None
    redis: int = 0  # the oldest version that it supports


FLOORS = (
    Contender("floor A, 1 worker", partial(floors.floor_a, slots=1), FLOOR_C_ONE),
    Contender("floor A, 100 workers", partial(floors.floor_a, slots=100)),
    Contender("floor B, task per job", floors.floor_b),
    Contender(FLOOR_C_ONE, partial(floors.floor_c, slots=1), FLOOR_C_ONE),
    Contender(FLOOR_C, partial(floors.floor_c, slots=100)),
    Contender("floor D, 1 slot", partial(floor_d.floor_d, slots=1), FLOOR_C_ONE),
    Contender("floor D, 100 slots", partial(floor_d.floor_d, slots=100)),
    Contender("floor D, 100 slots, read untimed", partial(floor_d.floor_d_read_later, slots=100)),
)
OWN = (
    Contender(OURS_ONE, partial(ours.noops, slots=1), FLOOR_C_ONE),
    Contender(OURS, partial(ours.noops, slots=100)),
    Contender(PAYLOAD_ONE, partial(ours.payloads, slots=1), FLOOR_C_ONE),
    Contender(PAYLOAD, partial(ours.payloads, slots=100)),
    Contender("asyncio, 100 slots, read untimed", partial(ours.noops_read_later, slots=100)),
    Contender(
        "asyncio, 1 slot, sync in a thread", partial(ours.threads, slots=1), FLOOR_C_ONE, 0.2
    ),
    Contender("asyncio, 100 slots, sync in a thread", partial(ours.threads, slots=100), share=0.2),
    Contender("memory", ours.in_memory, FLOOR_C_ONE),
)
PEERS = (
    Contender(AIOJOBS[0], partial(loop_peers.aiojobs, limit=None), module="aiojobs"),
    Contender(AIOJOBS[1], partial(loop_peers.aiojobs, limit=100), module="aiojobs"),
    Contender("aiojobs, no limit, results read", loop_peers.aiojobs_results, module="aiojobs"),
    Contender(TASKIQ[0], partial(loop_peers.taskiq, inplace=True), share=0.5, module="taskiq"),
    Contender(TASKIQ[1], partial(loop_peers.taskiq, inplace=False), share=0.5, module="taskiq"),
    Contender("APScheduler, asyncio", loop_peers.apscheduler, share=0.2, module="apscheduler"),
    Contender("Starlette BackgroundTasks", loop_peers.starlette, module="starlette"),
    Contender("Huey, memory, 1 thread", thread_peers.huey, share=0.2, module="huey"),
    Contender(
        "dramatiq StubBroker, 1 thread",
        partial(thread_peers.dramatiq, threads=1),
        share=0.2,
        module="dramatiq",
    ),
    Contender(
        "dramatiq StubBroker, 8 threads",
        partial(thread_peers.dramatiq, threads=8),
        share=0.2,
        module="dramatiq",
    ),
)
ON_REDIS = (
    Contender("saq, Redis", redis_peers.saq, share=0.1, module="saq", redis=6),
    Contender("arq, Redis", redis_peers.arq, share=0.1, module="arq", redis=6),
    Contender("streaq, Redis", redis_peers.streaq, share=0.1, module="streaq", redis=7),
)
CONTENDERS = (*FLOORS, *OWN, *PEERS, *ON_REDIS)


def benches(size: Size) -> list[Bench]:
    """The benchmarks of all contenders that are installed."""
    return [_bench(one, size) for one in CONTENDERS if _absence(one) is None]


def left_out() -> list[str]:
    """The contenders that are not measured, and why."""
    absences = ((one.name, _absence(one)) for one in CONTENDERS)
    return [f"{name}: {reason}" for name, reason in absences if reason is not None]


def _absence(one: Contender) -> str | None:
    if one.module is not None and find_spec(one.module) is None:
        return "not installed"
    if one.redis > redis_peers.server():
        return f"no Redis {one.redis} or newer answers"
    return None


def _bench(one: Contender, size: Size) -> Bench:
    jobs = max(100, round(size.jobs * one.share))
    return Bench(one.name, partial(_run, one, jobs), partial(_run, one, 100))


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
