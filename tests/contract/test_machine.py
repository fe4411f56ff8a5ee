"""Both in-process backends agree with a plain model of a queue, whatever happens in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueMachine

from ..support.loops import ON_UVLOOP, BareLoop, UvloopWithFakeClock
from ..support.stores import TextJobQueue, TextStore

pytestmark = pytest.mark.slow

# The same examples in every run: a test that fails now and then is no use to anybody.
STEADY = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine may be busy
)


class AsyncioMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> AsyncioJobQueue:
        return AsyncioJobQueue(handlers, settings, observers)


class MemoryMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> InMemoryJobQueue:
        return InMemoryJobQueue(handlers, settings, observers)


class StoredMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> TextJobQueue:
        return TextJobQueue(handlers, settings, observers, store=TextStore())


TestAsyncioMachine = AsyncioMachine.TestCase
TestAsyncioMachine.settings = STEADY

TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = STEADY

TestStoredMachine = StoredMachine.TestCase
TestStoredMachine.settings = STEADY


class AsyncioMachineOnUvloop(AsyncioMachine):
    loop_factory = UvloopWithFakeClock


class AsyncioMachineOnTheBarestLoop(AsyncioMachine):
    loop_factory = BareLoop


TestAsyncioMachineOnUvloop = ON_UVLOOP(AsyncioMachineOnUvloop.TestCase)
TestAsyncioMachineOnUvloop.settings = STEADY

TestAsyncioMachineOnTheBarestLoop = AsyncioMachineOnTheBarestLoop.TestCase
TestAsyncioMachineOnTheBarestLoop.settings = STEADY
