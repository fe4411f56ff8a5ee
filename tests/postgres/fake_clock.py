"""Runs a test on the kit's fake clock, where others of its folder need a real one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, cast

from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock


def on_a_fake_clock(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        run_with_fake_clock(test(**fixtures))

    return run


def clock() -> FakeClockLoop:
    """The loop that runs here."""
    return cast(FakeClockLoop, asyncio.get_running_loop())
