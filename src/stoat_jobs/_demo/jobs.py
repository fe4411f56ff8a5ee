"""The demo's job types: the scan, one that fails, and one that never finishes."""

from __future__ import annotations

import asyncio
import math
import time
from itertools import count
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stoat_jobs import JobContext, JobHandlers

from .scan import ScanReport, scan_directory

SUBMITTABLE = ("scan", "failing", "endless")

_STEPS = 20
_LAST_STEP = 15
_HELD_S = 0.05


def demo_handlers(root: Path, held_at: float = math.inf) -> JobHandlers:
    """The registry of the demo, whose scan goes no further than *held_at*, a fraction.

    The server chooses the directory, not the client. Otherwise everyone who can reach the port
    could make the server read any file.
    """
    handlers = JobHandlers()

    @handlers.job(timeout=math.inf)
    def scan(ctx: JobContext) -> ScanReport:
        return scan_directory(_Held(ctx, held_at), root)

    handlers.register("failing", failing)
    handlers.register("endless", endless, timeout=math.inf)
    return handlers


class _Held:
    """The context of a scan that waits at a fraction of its way, until it is told to stop."""

    def __init__(self, ctx: JobContext, fraction: float) -> None:
        self._ctx = ctx
        self._fraction = fraction
        self.raise_if_cancelled = ctx.raise_if_cancelled

    def set_progress(self, fraction: float, message: str | None = None) -> None:
        self._ctx.set_progress(fraction, message)
        while fraction >= self._fraction:
            self._ctx.raise_if_cancelled()
            time.sleep(_HELD_S)


async def failing(ctx: JobContext, seconds: Annotated[float, Field(ge=0, le=60)] = 5.0) -> None:
    """Report progress for *seconds*, and fail at three quarters."""
    for step in range(1, _LAST_STEP + 1):
        ctx.set_progress(step / _STEPS, f"step {step} of {_STEPS}")
        await asyncio.sleep(seconds / _LAST_STEP)
    raise RuntimeError(f"step {_LAST_STEP + 1} of {_STEPS} went wrong, as it always does")


async def endless(ctx: JobContext, pause: Annotated[float, Field(ge=0.01, le=60)] = 0.5) -> None:
    """Report progress every *pause* seconds, closer and closer to 100 %, and never finish."""
    for turn in count(1):
        ctx.set_progress(turn / (turn + _STEPS), f"turn {turn:,} of many")
        await asyncio.sleep(pause)
