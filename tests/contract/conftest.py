"""Async tests here run on the kit's fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from stoat_jobs.testing import FakeClockLoop

from ..support.loops import ON_UVLOOP
from ..support.turns import Run


def pytest_asyncio_loop_factories() -> dict[str, type[FakeClockLoop]]:
    return {"fake clock": FakeClockLoop}


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=ON_UVLOOP)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one kind of loop, in real time."""
    return partial(run_on, import_module(request.param).new_event_loop)


def run_on(make_loop: Any, main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main)
