"""The demo's job types: the scan, one that fails, and one that does not end."""

from __future__ import annotations

import asyncio
import math
from itertools import count
from pathlib import Path
from typing import Annotated

from pydantic import Field

from stoat_jobs import JobContext, JobHandlers

from .scan import ScanReport, scan_directory

TO_PLAY_WITH = ("scan", "failing", "endless")

_STEPS = 20
_LAST_STEP = 15


def demo_handlers(root: Path) -> JobHandlers:
    """The registry of the demo.

    The directory is the server's, not the client's, to choose: else everybody who reaches the
    port could have any file read.
    """
    handlers = JobHandlers()

    @handlers.job(timeout=math.inf)
    def scan(ctx: JobContext) -> ScanReport:
        return scan_directory(ctx, root)

    handlers.register("failing", failing)
    handlers.register("endless", endless, timeout=math.inf)
    return handlers


async def failing(ctx: JobContext, seconds: Annotated[float, Field(ge=0, le=60)] = 5.0) -> None:
    """Get as far as three quarters in *seconds*, and fail there."""
    for step in range(1, _LAST_STEP + 1):
        ctx.set_progress(step / _STEPS, f"step {step} of {_STEPS}")
        await asyncio.sleep(seconds / _LAST_STEP)
    raise RuntimeError(f"step {_LAST_STEP + 1} of {_STEPS} went wrong, as it always does")


async def endless(ctx: JobContext, pause: Annotated[float, Field(ge=0.01, le=60)] = 0.5) -> None:
    """Come nearer to the end at each turn, with a *pause* of seconds after it, and never there."""
    for turn in count(1):
        ctx.set_progress(turn / (turn + _STEPS), f"turn {turn:,} of many")
        await asyncio.sleep(pause)
