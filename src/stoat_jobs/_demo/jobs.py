"""The demo's job types: the scan, one that fails, and one that never finishes."""

from __future__ import annotations

import asyncio
import math
from itertools import count
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stoat_jobs import JobContext, JobHandlers

from .scan import ScanReport, scan_directory

SUBMITTABLE = ("scan", "failing", "endless")

_STEPS = 20
_LAST_STEP = 15


def demo_handlers(root: Path) -> JobHandlers:
    """The registry of the demo.

    The server chooses the directory, not the client. Otherwise everyone who can reach the port
    could make the server read any file.
    """
    handlers = JobHandlers()

    @handlers.job(timeout=math.inf)
    def scan(ctx: JobContext) -> ScanReport:
        return scan_directory(ctx, root)

    handlers.register("failing", failing)
    handlers.register("endless", endless, timeout=math.inf)
    return handlers


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
