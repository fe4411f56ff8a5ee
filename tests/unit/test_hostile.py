"""Hostile exceptions where the kit does not look: between attempts, and in observers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, JobObserver, JobStatus
from stoat_jobs.testing._hostile import SHAPES, hostile_errors

pytestmark = pytest.mark.slow


def is_an_exception(error: BaseException) -> bool:
    """Whether raising *error* raises an ``Exception``; the override of some ends in another."""
    try:
        raise error
    except Exception:
        return True
    except BaseException:
        return False


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__.strip("_"))
async def test_a_hostile_exception_is_tried_again_as_any_other__fault_56(
    shape: Callable[..., Any],
) -> None:
    """Whatever looking at it does, the next attempt comes, and may succeed."""
    errors = list(filter(is_an_exception, hostile_errors(shape)))
    assert len(errors) > 200
    handlers = JobHandlers()

    @handlers.job(retries=1)
    async def flaky(ctx: JobContext, number: int) -> int:
        if not ctx.attempt:
            raise errors[number]
        return number

    queue = InMemoryJobQueue(handlers)
    for number in range(len(errors)):
        ref = await flaky.submit(queue, number)
        record = await ref.get_result()
        assert (record.status, record.result) == (JobStatus.COMPLETED, number)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__.strip("_"))
async def test_a_hostile_exception_is_matched_by_its_type__fault_56(
    shape: Callable[..., Any],
) -> None:
    """`retry_on` asks nothing of it: whatever it says of itself, it is what it is."""
    errors = list(filter(is_an_exception, hostile_errors(shape)))
    handlers = JobHandlers()

    class UnrelatedError(Exception):
        """Nothing raises it."""

    attempts = 0

    @handlers.job(retries=1, retry_on=UnrelatedError)
    async def flaky(ctx: JobContext, number: int) -> None:
        nonlocal attempts
        attempts += 1
        raise errors[number]

    queue = InMemoryJobQueue(handlers)
    for number in range(len(errors)):
        assert await (await flaky.submit(queue, number)).get_status() is JobStatus.FAILED
    assert attempts == len(errors)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__.strip("_"))
async def test_a_retry_on_that_raises_a_hostile_exception_fails_its_job__fault_56(
    shape: Callable[..., Any],
) -> None:
    """Its job fails with the handler's own error, and the next runs."""
    handlers, errors = JobHandlers(), list(hostile_errors(shape))
    numbers = iter(range(len(errors)))

    def retry_on(error: Exception) -> bool:
        raise errors[next(numbers)]

    @handlers.job(retries=1, retry_on=retry_on)
    async def failing(ctx: JobContext) -> None:
        raise KeyError("own")

    queue = InMemoryJobQueue(handlers)
    for _ in errors:
        record = await (await failing.submit(queue)).get_result()
        assert (record.status, record.error_type) == (JobStatus.FAILED, "KeyError")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__.strip("_"))
async def test_an_observer_that_raises_a_hostile_exception_hurts_no_job__fault_56(
    shape: Callable[..., Any],
) -> None:
    """It is dropped like any other, and its job ends as it would have without it."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> None: ...

    class Hostile(JobObserver):
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def started(self, event: Any) -> None:
            raise self.error

        finished = started

    for error in hostile_errors(shape):
        queue = InMemoryJobQueue(handlers, observers=[Hostile(error)])
        assert (await (await noop.submit(queue)).get_status()) is JobStatus.COMPLETED
