"""The `asyncio` backend keeps every promise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract

from .loops import BareLoop, UvloopWithFakeClock


class TestAsyncioJobQueue(JobQueueContract):
    keeps_any_result = True

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> AsyncioJobQueue:
        return AsyncioJobQueue(handlers, settings, observers)


class TestAsyncioJobQueueOnUvloop(TestAsyncioJobQueue):
    loop_factory = UvloopWithFakeClock


class TestAsyncioJobQueueOnTheBarestLoop(TestAsyncioJobQueue):
    loop_factory = BareLoop
