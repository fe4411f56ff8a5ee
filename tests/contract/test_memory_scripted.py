"""What the `memory` backend makes of the outcomes that a test writes down beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stoat_jobs import (
    FinishedEvent,
    InMemoryJobQueue,
    InvalidPayloadError,
    JobContext,
    JobObserver,
    JobStatus,
    StartedEvent,
    UnknownJobTypeError,
    current_job_id,
)

from .test_memory_only import memory


class Report(BaseModel):
    files: int
    tags: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (JobStatus.COMPLETED, None),
        (JobStatus.FAILED, "Exception"),
        (JobStatus.TIMEOUT, "Timeout"),
        (JobStatus.CANCELLED, "Cancelled"),
    ],
)
async def test_set_outcome_scripts_each_way_to_end(
    status: JobStatus, error_type: str | None
) -> None:
    """A test of an endpoint chooses how a job ends, with a record as a real one would have."""
    async with memory() as (bench, queue):
        queue.set_outcome("hold", status=status)
        record = await queue.get_result(await queue.submit("hold"))
        assert (record.status, record.error_type) == (status, error_type)
        assert record.error == (None if status is JobStatus.COMPLETED else "as scripted")
        assert record.started_at is not None
        assert record.finished_at is not None
        assert bench.calls == []


async def test_set_outcome_gives_a_result_or_an_error() -> None:
    """The scripted value or error is what a client then reads."""
    async with memory() as (bench, queue):
        queue.set_outcome("hold", result={"files": 3})
        assert (await queue.get_result(await queue.submit("hold"))).result == {"files": 3}
        queue.set_outcome("hold", status=JobStatus.FAILED, error=OSError("no disk"))
        record = await queue.get_result(await queue.submit("hold"))
        assert (record.error, record.error_type) == ("no disk", "OSError")
        queue.set_outcome("hold", status=JobStatus.FAILED, error="no disk")
        assert (await queue.get_result(await queue.submit("hold"))).error == "no disk"
        queue.set_outcome("hold", status=JobStatus.CANCELLED, result=[1], error=OSError("no disk"))
        record = await queue.get_result(await queue.submit("hold"))
        assert (record.result, record.error, record.error_type) == ([1], "no disk", "Cancelled")


async def test_a_scripted_job_is_logged_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    """Start and end are logged and told to observers; nothing was left behind."""
    caplog.set_level("INFO", "stoat_jobs")
    async with memory() as (bench, queue):
        queue.set_outcome("hold", status=JobStatus.TIMEOUT)
        job_id = await queue.submit("hold")
    told = [(each.getMessage(), getattr(each, "job_id", None)) for each in caplog.records]
    assert told == [(event, job_id) for event in ("job_submitted", "job_started", "job_timeout")]


async def test_a_scripted_job_is_told_in_a_context_of_its_own() -> None:
    """What an observer logs by itself at its start and end bears the job's id, as of any other."""
    seen: list[str | None] = []

    class Notes(JobObserver):
        def started(self, event: StartedEvent) -> None:
            seen.append(current_job_id.get())

        def finished(self, event: FinishedEvent) -> None:
            seen.append(current_job_id.get())

    queue = InMemoryJobQueue(observers=[Notes()])
    queue.set_outcome("scan")
    job_id = await queue.submit("scan")
    assert (seen, current_job_id.get()) == ([job_id, job_id], None)


async def test_set_outcome_needs_no_handler() -> None:
    """A type without a handler is accepted once it is scripted, and only then."""
    queue = InMemoryJobQueue()
    with pytest.raises(UnknownJobTypeError):
        await queue.submit("scan", {"root": "."})
    queue.set_outcome("scan", result=1)
    assert (await queue.get_result(await queue.submit("scan", {"root": "."}))).result == 1


async def test_a_scripted_type_still_checks_its_payload() -> None:
    """A script replaces what the handler does, not what it accepts."""
    async with memory() as (bench, queue):

        @bench.handlers.job
        async def scan(ctx: JobContext, root: str) -> Report:
            raise AssertionError

        queue.set_outcome("scan", result={"files": 1})
        with pytest.raises(InvalidPayloadError):
            await queue.submit("scan", {"rot": "."})
        assert (await queue.get_result(await queue.submit("scan", {"root": "."}))).result == Report(
            files=1
        )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"status": JobStatus.RUNNING}, ValueError("an outcome is completed, failed.*not running")),
        ({"status": JobStatus.PENDING}, ValueError("an outcome is completed, failed.*not pending")),
        ({"error": "no"}, ValueError("^a completed job has no error$")),
        ({"status": JobStatus.FAILED, "result": 1}, ValueError("ends failed has no result")),
        ({"status": JobStatus.TIMEOUT, "result": 1}, ValueError("ends timeout has no result")),
        ({"status": JobStatus.FAILED, "error": 5}, TypeError("text or an exception, not 5")),
        ({"result": object()}, TypeError("cannot be kept as JSON")),
        ({"result": "x" * 100}, ValueError(r"102 bytes.*max_result_bytes \(50\)")),
    ],
    ids=[
        "running",
        "pending",
        "error",
        "failed with result",
        "timeout with result",
        "5",
        "no JSON",
        "too large",
    ],
)
async def test_an_outcome_that_cannot_be_is_refused(
    options: dict[str, Any], error: Exception
) -> None:
    """A script that no real job could follow is an error in the test that wrote it."""
    async with memory(max_result_bytes=50) as (bench, queue):
        with pytest.raises(type(error), match=str(error)):
            queue.set_outcome("hold", **options)
