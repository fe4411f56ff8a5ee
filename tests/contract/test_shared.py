"""Queues that share an engine keep every promise, alone and beside one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract, JobQueueMachine

from ..support.shared_engine import Engine
from ..support.shared_queue import SharedJobQueue
from .test_machine import STEADY

pytestmark = pytest.mark.slow


class TestSharedJobQueue(JobQueueContract):
    def setup_method(self) -> None:
        self.engine = Engine()

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> SharedJobQueue:
        return SharedJobQueue(handlers, settings, observers, engine=self.engine)


class SharedMachine(JobQueueMachine):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> SharedJobQueue:
        return SharedJobQueue(handlers, settings, observers, engine=Engine())


TestSharedMachine = SharedMachine.TestCase
TestSharedMachine.settings = STEADY
