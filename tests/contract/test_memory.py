"""The `memory` backend keeps every promise that does not need more than one slot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stoat_jobs import InMemoryJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs.testing import JobQueueContract

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock


class TestInMemoryJobQueue(JobQueueContract):
    async def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> InMemoryJobQueue:
        return InMemoryJobQueue(handlers, settings, observers)


@pytest.mark.slow
@ON_UVLOOP
class TestInMemoryJobQueueOnUvloop(TestInMemoryJobQueue):
    loop_factory = UvloopWithFakeClock
