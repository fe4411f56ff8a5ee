"""A log that cannot be forged, that the handler's own lines join, and that hurts nobody."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobStatus,
    current_job_id,
)
from stoat_jobs.backends import log_event
from stoat_jobs.testing import run_with_fake_clock

from ..support.listening import listening

logger = logging.getLogger("stoat_jobs")
INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR

NAMES = ("message", "job_type", "error")


HOSTILE = "scan\nERROR:root:forged\r\x1b[31m\u2028"


async def test_nothing_forges_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """Newlines and terminal escapes in a job type or an error are escaped in the extras."""
    caplog.set_level(INFO, logger="stoat_jobs")
    local = JobHandlers()

    def fail(ctx: JobContext) -> None:
        raise ValueError(HOSTILE)

    local.register(HOSTILE, fail)
    await InMemoryJobQueue(local).submit(HOSTILE)
    values = [str(vars(record).get(name)) for record in caplog.records for name in NAMES]
    assert any("forged" in value for value in values)
    assert [value for value in values if not value.isprintable()] == []


async def test_a_long_job_type_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """A job type of any length takes at most 200 characters of a log line."""
    caplog.set_level(INFO, logger="stoat_jobs")
    local = JobHandlers()

    @local.job("x" * 5000)
    async def work(ctx: JobContext) -> None: ...

    await InMemoryJobQueue(local).submit(work.name)
    assert {len(vars(record)["job_type"]) for record in caplog.records} == {200}


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_handlers_own_log_lines_know_their_job(kind: str) -> None:
    """A filter on the app's log handler finds the running job's id, in threads too."""
    local = JobHandlers()
    own = logging.getLogger("the_app")
    seen: list[tuple[str, str | None]] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), current_job_id.get()))

    def sync_work(ctx: JobContext) -> None:
        own.warning("working for %s", ctx.job_id)

    async def async_work(ctx: JobContext) -> None:
        sync_work(ctx)

    function: Any = sync_work if kind == "sync" else async_work
    local.register("work", function)
    with listening(Notes(), to="the_app"):
        job_id = await InMemoryJobQueue(local).submit("work")
    assert seen == [(f"working for {job_id}", job_id)]


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (INFO, ["job_submitted", "job_started", "job_completed"] * 2),
        (WARNING, []),
    ],
    ids=["info", "warning"],
)
async def test_what_goes_well_is_information(
    caplog: pytest.LogCaptureFixture, level: int, said: list[str]
) -> None:
    """At the default level of logging nothing is said of jobs that complete."""
    local = JobHandlers()

    @local.job
    async def work(ctx: JobContext) -> None: ...

    caplog.set_level(level, logger="stoat_jobs")
    queue = InMemoryJobQueue(local)
    for _ in range(2):
        await queue.submit("work")
    assert [record.message for record in caplog.records] == said


async def test_what_goes_wrong_is_said_at_the_default_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Failures are logged although the logger's level hides the steps before."""
    local = JobHandlers()

    @local.job
    async def work(ctx: JobContext) -> None:
        raise ValueError("wrong")

    caplog.set_level(WARNING, logger="stoat_jobs")
    await InMemoryJobQueue(local).submit("work")
    assert [(each.levelno, each.message) for each in caplog.records] == [(ERROR, "job_failed")]


class Broken(logging.Handler):
    """A log handler that raises, as one without a disk does when it does not catch that."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.calls = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [OSError("disk full"), SystemExit(3)], ids=["error", "exit"])
def test_a_log_handler_that_raises_hurts_no_job(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is one of the observers: when it raises, jobs and the queue's own life go on."""
    caplog.set_level(INFO, logger="stoat_jobs")
    statuses: list[JobStatus] = []
    local = JobHandlers()

    @local.job
    async def work(ctx: JobContext) -> None: ...

    async def main() -> None:
        async with AsyncioJobQueue(local) as queue:
            first, second = await work.submit(queue), await work.submit(queue)
            statuses.extend([(await first.wait()).status, (await second.wait()).status])

    broken = Broken(error)
    with listening(broken):
        run_with_fake_clock(main())
    assert statuses == [JobStatus.COMPLETED] * 2
    assert broken.calls > 0


def test_log_event_lets_the_users_interrupt_pass() -> None:
    """Ctrl-C while a log handler works is the user's."""
    with listening(Broken(KeyboardInterrupt())), pytest.raises(KeyboardInterrupt):
        log_event(ERROR, "observer_dropped")
