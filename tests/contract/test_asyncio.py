"""The `asyncio` backend keeps every promise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract

from ..support.loops import ON_UVLOOP, BareLoop, UvloopWithFakeClock


class TestAsyncioJobQueue(JobQueueContract):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> AsyncioJobQueue:
        return AsyncioJobQueue(handlers, settings, observers)


@pytest.mark.slow
@ON_UVLOOP
class TestAsyncioJobQueueOnUvloop(TestAsyncioJobQueue):
    loop_factory = UvloopWithFakeClock


@pytest.mark.slow
class TestAsyncioJobQueueOnTheBarestLoop(TestAsyncioJobQueue):
    loop_factory = BareLoop
