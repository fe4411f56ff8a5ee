"""What handlers do to the queue, at its worst; each behaviour says how it ends when left alone.

Whatever a behaviour depends on is in its :class:`~.plan.JobPlan`, so that a seed replays it.
``KeyboardInterrupt`` is left out: it is the user's, and ends the app by design.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from stoat_jobs import JobContext, JobStatus

from .plan import JobPlan, Mood, Weighted
from .raised import RAISED

F = TypeVar("F", bound=Callable[..., Any])

LONG = 3600.0
"""Seconds that nobody waits for."""

LIMITS = {
    "coroutine": 0.0203,
    "cooperative": 0.0203,
    "stubborn": 0.0203,
    "thread": 0.0307,
    "retried": 0.6003,
}
"""Seconds that jobs of each type have; no whole milliseconds, of which some loops count."""

BLOCK = 0.06
"""Seconds that a thread or the event loop is blocked, beyond every deadline of its type."""

HUGE = 1 << 20
"""Bytes of a huge result."""

COMPLETED, FAILED, TIMEOUT = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TIMEOUT


@dataclass(frozen=True)
class Behaviour:
    """Something that a handler does; ``status`` and ``error_type`` are its own end."""

    job_type: str
    do: Callable[..., Any]
    weight: float
    status: JobStatus
    error_type: str | None
    obeys: bool = False
    """Whether it ends in the very step in which it is told to."""


BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(
    weight: float,
    status: JobStatus = COMPLETED,
    error_type: str | None = None,
    job_type: str | None = None,
    *,
    obeys: bool = False,
) -> Callable[[F], F]:
    """Register a behaviour; its job type follows from the kind of function, unless given."""

    def register(do: F) -> F:
        kind = job_type or ("coroutine" if inspect.iscoroutinefunction(do) else "thread")
        error = "Timeout" if status is TIMEOUT else error_type
        BEHAVIOURS[do.__name__] = Behaviour(kind, do, weight, status, error, obeys)
        return do

    return register


def _raising(name: str) -> None:
    """Acts that raise *name*, in a coroutine and in a thread."""
    new = RAISED[name]

    async def raises(ctx: JobContext, plan: JobPlan) -> None:
        raise new()

    def thread_raises(ctx: JobContext, plan: JobPlan) -> None:
        raise new()

    # Python turns a coroutine's StopIteration into another error.
    inside = "RuntimeError" if name == "StopIteration" else name
    BEHAVIOURS[f"raises {name}"] = Behaviour("coroutine", raises, 2.0, FAILED, inside)
    BEHAVIOURS[f"thread raises {name}"] = Behaviour("thread", thread_raises, 0.05, FAILED, name)


for _name in RAISED:
    _raising(_name)


# Ends that are the handler's own.


@behaviour(weight=160)
async def returns(ctx: JobContext, plan: JobPlan) -> int:
    return plan.n


@behaviour(weight=50, obeys=True)
async def waits_a_little(ctx: JobContext, plan: JobPlan) -> int:
    await asyncio.sleep(0.001)
    return plan.n


@behaviour(weight=0.2)
async def returns_much(ctx: JobContext, plan: JobPlan) -> bytearray:
    return bytearray(HUGE)


@behaviour(3, FAILED, "CancelledError")
async def cancels_itself(ctx: JobContext, plan: JobPlan) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(LONG)


@behaviour(3, FAILED, "CancelledError")
async def awaits_a_cancelled_child(ctx: JobContext, plan: JobPlan) -> None:
    child = asyncio.ensure_future(asyncio.sleep(LONG))
    child.cancel()
    await child


@behaviour(2, FAILED, "TimeoutError")
async def has_a_timeout_of_its_own(ctx: JobContext, plan: JobPlan) -> None:
    await asyncio.wait_for(asyncio.sleep(LONG), 0.001)


@behaviour(0.5, COMPLETED, job_type="retried")
async def fails_at_first(ctx: JobContext, plan: JobPlan) -> int:
    if ctx.attempt == 0:
        raise ValueError("chaos")
    return plan.n


@behaviour(0.5, FAILED, "ValueError", job_type="retried")
async def fails_again_and_again(ctx: JobContext, plan: JobPlan) -> None:
    raise ValueError("chaos")


@behaviour(weight=0.1, status=TIMEOUT)
async def blocks_the_loop(ctx: JobContext, plan: JobPlan) -> int:
    time.sleep(BLOCK)
    return plan.n


# Progress.


def report_wildly(ctx: JobContext) -> None:
    for fraction in (0, 1, 0.5, True, 1e-300, 5e-324):
        ctx.set_progress(fraction, "x\n\ud800" * 300)
    for wrong in (math.nan, math.inf, -math.inf, -1, 1.0000001):
        try:
            ctx.set_progress(wrong)
        except ValueError:
            continue
        raise AssertionError(f"progress of {wrong} was taken")


@behaviour(weight=8)
async def reports_wildly(ctx: JobContext, plan: JobPlan) -> int:
    report_wildly(ctx)
    await asyncio.sleep(0)
    report_wildly(ctx)
    return plan.n


@behaviour(weight=4)
async def reports_after_the_end(ctx: JobContext, plan: JobPlan) -> int:
    asyncio.get_running_loop().call_later(0.002, ctx.set_progress, 0.25, "late")
    return plan.n


@behaviour(weight=0.4)
def thread_reports_wildly(ctx: JobContext, plan: JobPlan) -> int:
    report_wildly(ctx)
    return plan.n


# Handlers that are told to stop.


@behaviour(weight=5, status=TIMEOUT, obeys=True)
async def hangs(ctx: JobContext, plan: JobPlan) -> None:
    await asyncio.sleep(LONG)


@behaviour(weight=3, status=TIMEOUT)
async def swallows_every_cancel(ctx: JobContext, plan: JobPlan) -> None:
    while True:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            pass


@behaviour(1, TIMEOUT, job_type="stubborn")
async def swallows_what_closes_it(ctx: JobContext, plan: JobPlan) -> None:
    for _ in range(8):
        try:
            await asyncio.sleep(LONG)
        except BaseException:
            pass


@behaviour(weight=1, status=TIMEOUT)
async def never_sleeps(ctx: JobContext, plan: JobPlan) -> None:
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass


@behaviour(weight=4, status=TIMEOUT)
async def awaits_in_finally(ctx: JobContext, plan: JobPlan) -> None:
    try:
        await asyncio.sleep(LONG)
    finally:
        await asyncio.sleep(0.001)


@behaviour(weight=2, status=TIMEOUT)
async def never_ends_its_finally(ctx: JobContext, plan: JobPlan) -> None:
    try:
        await asyncio.sleep(LONG)
    finally:
        await asyncio.sleep(LONG)


@behaviour(weight=2, status=TIMEOUT, obeys=True)
async def returns_when_cancelled(ctx: JobContext, plan: JobPlan) -> int:
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        pass
    return plan.n


@behaviour(weight=1, status=TIMEOUT, obeys=True)
async def raises_when_cancelled(ctx: JobContext, plan: JobPlan) -> None:
    try:
        await asyncio.sleep(LONG)
    finally:
        raise SystemExit("chaos")


@behaviour(2, TIMEOUT, job_type="cooperative")
async def looks_at_its_flag(ctx: JobContext, plan: JobPlan) -> None:
    while True:
        ctx.raise_if_cancelled()
        await asyncio.sleep(0.001)


@behaviour(2, TIMEOUT, job_type="cooperative")
async def looks_at_nothing(ctx: JobContext, plan: JobPlan) -> None:
    await swallows_every_cancel(ctx, plan)


@behaviour(weight=0.6, status=TIMEOUT)
def thread_looks_at_its_flag(ctx: JobContext, plan: JobPlan) -> None:
    while True:
        ctx.raise_if_cancelled()
        time.sleep(0.001)


@behaviour(weight=0.4, status=TIMEOUT)
def thread_is_blocked(ctx: JobContext, plan: JobPlan) -> int:
    time.sleep(BLOCK)
    ctx.set_progress(0.75, "late")
    return plan.n


@behaviour(weight=1.5)
def thread_returns(ctx: JobContext, plan: JobPlan) -> int:
    return plan.n


# Handlers that submit; ``ctx.app`` is the desk where submissions are booked.


@behaviour(weight=6)
async def submits(ctx: JobContext, plan: JobPlan) -> int:
    await ctx.app.submit_child(ctx.queue, plan)
    return plan.n


@behaviour(weight=4)
async def submits_and_waits(ctx: JobContext, plan: JobPlan) -> int:
    child = await ctx.app.submit_child(ctx.queue, plan)
    if child is not None:
        await ctx.app.wait(ctx.queue, child)
    return plan.n


@behaviour(weight=0.8)
def thread_submits(ctx: JobContext, plan: JobPlan) -> int:
    ctx.from_thread(ctx.app.submit_child, ctx.queue, plan)
    return plan.n


def behaviours_for(mood: Mood) -> Weighted[str]:
    """The names of behaviours, to draw from."""
    slow = {"waits_a_little"} | {
        name for name, behaviour in BEHAVIOURS.items() if behaviour.status is TIMEOUT
    }
    factor = 10 if mood is Mood.SLOW else 1
    return Weighted(
        {
            name: behaviour.weight * (factor if name in slow else 1)
            for name, behaviour in BEHAVIOURS.items()
        }
    )
