"""The registry that the plug-in has by itself."""

from __future__ import annotations

import pytest

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers


@pytest.mark.parametrize("turn", [1, 2])
def test_it_is_empty_and_new_for_each_test(
    job_handlers: JobHandlers, job_queue: InMemoryJobQueue, turn: int
) -> None:
    assert list(job_handlers) == []
    assert job_queue.handlers is job_handlers

    @job_handlers.job
    def double(ctx: JobContext, n: int) -> int:
        return 2 * n
