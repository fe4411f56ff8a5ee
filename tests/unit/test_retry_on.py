"""What a job type says about its retries, where the kit does not look."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from stoat_jobs import Backoff, InMemoryJobQueue, JobContext, JobHandlers, JobResult, JobStatus


class PosingError(Exception):
    """Says that it is another."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return ConnectionError


async def failed(error: Exception, **options: Any) -> JobResult[Any]:
    """The record of a job that always fails with *error*, and may be retried twice."""
    handlers = JobHandlers()

    async def failing(ctx: JobContext) -> None:
        raise error

    handlers.register("failing", failing, retries=2, **options)
    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("failing"))
    assert record.status is JobStatus.FAILED
    return record


async def test_an_exception_is_not_asked_what_it_is() -> None:
    """Only its real type counts."""
    assert (await failed(PosingError(), retry_on=ConnectionError)).attempt == 0
    assert (await failed(PosingError(), retry_on=PosingError)).attempt == 2


async def test_memory_waits_for_no_delay() -> None:
    """Whoever chose them, delays are 0 there, and none of them passes the time limit."""
    hours = Backoff(first=10_000, maximum=10_000, jitter=0)
    assert (await failed(ValueError(), backoff=hours)).attempt == 2
    assert (await failed(ValueError(), retry_on=lambda error: 10_000)).attempt == 2


async def test_a_coroutine_is_no_answer_and_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """A plain function that returns one fails its job, with no warning of what nobody awaited."""

    async def later() -> bool:
        return True

    assert (await failed(ValueError(), retry_on=lambda error: later())).attempt == 0
    gc.collect()
    (line,) = [each for each in caplog.records if each.getMessage() == "retry_on_failed"]
    assert "not coroutine" in str(line.exc_info or line.exc_text)


def test_a_ctrl_c_in_retry_on_is_the_users() -> None:
    """It is no answer like others: it propagates."""

    def retry_on(error: Exception) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(failed(ValueError(), retry_on=retry_on))
