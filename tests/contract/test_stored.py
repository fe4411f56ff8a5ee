"""A queue with a store behind it keeps every promise, and its jobs outlive it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock
from ..support.stores import TextJobQueue, TextStore


class TestStoredJobQueue(JobQueueContract):
    def setup_method(self) -> None:
        self.store = TextStore()

    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> TextJobQueue:
        return TextJobQueue(handlers, settings, observers, store=self.store)


@pytest.mark.slow
@ON_UVLOOP
class TestStoredJobQueueOnUvloop(TestStoredJobQueue):
    loop_factory = UvloopWithFakeClock
