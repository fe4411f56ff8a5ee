"""The fixtures in async tests, which have the mark that their plug-in wants, if any."""

from __future__ import annotations

import os

import pytest

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, JobStatus, JobType

pytestmark = [getattr(pytest.mark, name) for name in os.environ["MARKS"].split()]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def double(job_handlers: JobHandlers) -> JobType[[int], int]:
    @job_handlers.job
    async def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    return double


async def test_a_job_has_ended(double: JobType[[int], int], job_queue: InMemoryJobQueue) -> None:
    ref = await double.submit(job_queue, 21)
    assert (await ref.get_result()).result == 42


async def test_a_job_waits(
    double: JobType[[int], int], stepped_job_queue: InMemoryJobQueue
) -> None:
    ref = await double.submit(stepped_job_queue, 21)
    assert await ref.get_status() is JobStatus.PENDING
    record = await stepped_job_queue.run_next()
    assert record is not None
    assert record.result == 42
    assert await stepped_job_queue.run_next() is None


async def test_the_queue_may_be_started(
    double: JobType[[int], int], job_queue: InMemoryJobQueue
) -> None:
    async with job_queue:
        assert await (await double.submit(job_queue, 4)).value() == 8
