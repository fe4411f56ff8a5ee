"""The life of a queue and its jobs in the log: exact events, levels and extras."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
)
from stoat_jobs.testing import Bench, run_with_fake_clock

from ..support.listening import Heard, listening

logger = logging.getLogger("stoat_jobs")
INFO, WARNING, ERROR = logging.INFO, logging.WARNING, logging.ERROR

STANDARD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}


class Collector(Heard):
    """Keeps what the logger `stoat_jobs` says."""

    @property
    def events(self) -> list[tuple[int, str]]:
        return [(record.levelno, record.getMessage()) for record in self.records]

    def of_jobs(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Level, event and extras of what concerns jobs."""
        return [
            (record.levelno, record.getMessage(), extras(record))
            for record in self.records
            if hasattr(record, "job_id")
        ]


def extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


@pytest.fixture
def log() -> Iterator[Collector]:
    with listening(Collector(), INFO) as collector:
        yield collector


def with_bench(story: Callable[[Bench], Awaitable[Any]], **settings: Any) -> None:
    """Play *story* with gated handlers on the asyncio backend, on a fake clock."""

    async def main() -> None:
        bench = Bench()
        bench.queue = AsyncioJobQueue(bench.handlers, JobQueueSettings(**settings))
        async with bench:
            await story(bench)

    run_with_fake_clock(main())


def the_end(log: Collector, story: Callable[[Bench], Awaitable[Any]], **settings: Any) -> Any:
    """The events of the one job of *story*, and the extras of its end without the id."""
    with_bench(story, **settings)
    jobs = log.of_jobs()
    [job_id] = {extra.pop("job_id") for _, _, extra in jobs}
    assert len(job_id) == 36
    assert {extra.pop("job_type") for _, _, extra in jobs} <= {"hold", "work", "retrying", "work/2"}
    first, *_, last = jobs
    assert first == (INFO, "job_submitted", {})
    return [(level, event) for level, event, _ in jobs[1:]], last[2]


STARTED = (INFO, "job_started")


def look_for_directory(ctx: JobContext) -> None:
    raise ValueError("no such directory")


def test_completed(log: Collector) -> None:
    """A job that completes is submitted, started and completed, with its duration."""

    async def story(bench: Bench) -> None:
        call = await bench.begin()
        await bench.clock.advance(3)
        await bench.finish(call)

    events, extra = the_end(log, story)
    assert events == [STARTED, (INFO, "job_completed")]
    assert extra == {
        "attempt": 0,
        "duration_s": pytest.approx(3),
        "error_type": None,
        "error": None,
    }


def test_failed(log: Collector) -> None:
    """A failure is an error with the handler's own traceback."""

    async def story(bench: Bench) -> None:
        bench.handlers.register("work/2", look_for_directory)
        await bench.run("work/2")

    events, extra = the_end(log, story)
    assert events == [STARTED, (ERROR, "job_failed")]
    assert (extra["error_type"], extra["error"]) == ("ValueError", "no such directory")
    [failed] = [record for record in log.records if record.exc_info]
    assert failed.getMessage() == "job_failed"
    text = logging.Formatter("%(message)s").format(failed)
    assert "in look_for_directory" in text
    assert text.endswith("ValueError: no such directory")


def test_timeout(log: Collector) -> None:
    """A timeout is a warning that says the limit, without a traceback."""

    async def story(bench: Bench) -> None:
        await bench.begin(timeout=2)
        await bench.clock.advance(2)

    events, extra = the_end(log, story)
    assert events == [STARTED, (WARNING, "job_timeout")]
    assert extra == {
        "attempt": 0,
        "duration_s": pytest.approx(2),
        "error_type": "Timeout",
        "error": "ran longer than its limit of 2 s",
    }
    assert not any(record.exc_info for record in log.records)


def test_cancelled(log: Collector) -> None:
    """A caller's cancel is no more than information."""

    async def story(bench: Bench) -> None:
        call = await bench.begin()
        await bench.queue.cancel(call.job_id)

    events, extra = the_end(log, story)
    assert events == [STARTED, (INFO, "job_cancelled")]
    assert (extra["error_type"], extra["error"]) == ("Cancelled", "cancelled on request")


def test_cancelled_while_pending(log: Collector) -> None:
    """A job that never started has no start in the log, and no duration."""
    waiting: list[str] = []

    async def story(bench: Bench) -> None:
        await bench.begin()
        waiting.append(await bench.put())
        await bench.queue.cancel(waiting[0])

    with_bench(story)
    own = [each for each in log.of_jobs() if each[2]["job_id"] in waiting]
    assert [each[:2] for each in own] == [(INFO, "job_submitted"), (INFO, "job_cancelled")]
    assert own[1][2]["duration_s"] is None


def test_cut_off_by_the_shutdown(log: Collector) -> None:
    """Work that the shutdown cut off, pending or running, is lost, so it is a warning."""

    async def story(bench: Bench) -> None:
        await bench.begin()
        await bench.put()
        await bench.close()

    with_bench(story, drain_timeout=0)
    ends = [(level, event, extra["error_type"]) for level, event, extra in log.of_jobs()[3:]]
    assert ends == [(WARNING, "job_cancelled", "Shutdown")] * 2


def test_abandoned(log: Collector) -> None:
    """A handler that was left behind is named in a warning of its own, after the job's end."""

    async def story(bench: Bench) -> None:
        await bench.begin("work", timeout=2)
        await bench.clock.advance(3)

    events, extra = the_end(log, story, cancel_grace=1)
    assert events == [STARTED, (WARNING, "job_timeout"), (WARNING, "job_abandoned")]
    assert (extra["error_type"], extra["duration_s"]) == ("Timeout", pytest.approx(3))


def test_further_attempts(log: Collector) -> None:
    """Each further attempt is a warning with the traceback of the one before."""

    async def story(bench: Bench) -> None:
        call = await bench.begin("retrying")
        call.fail(ValueError("first"))
        await bench.clock.advance(60)
        call = await bench.call_number(1)
        await bench.finish(call)

    events, extra = the_end(log, story)
    assert events == [STARTED, (WARNING, "job_started"), (INFO, "job_completed")]
    assert extra["attempt"] == 1
    [again] = [record for record in log.records if record.exc_info]
    assert extras(again)["attempt"] == 1
    assert again.exc_info is not None
    assert str(again.exc_info[1]) == "first"


def test_an_error_while_stopping_keeps_its_traceback(log: Collector) -> None:
    """What went wrong in a handler that was told to stop is in the log alone."""
    local = JobHandlers()

    @local.job
    async def untidy(ctx: JobContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError("untidy")

    async def main() -> None:
        async with AsyncioJobQueue(local) as queue:
            ref = await untidy.submit(queue)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await ref.cancel()
            assert (await ref.wait()).error_type == "Cancelled"

    run_with_fake_clock(main())
    [record] = [record for record in log.records if record.exc_info]
    assert record.getMessage() == "job_cancelled"


def test_a_queues_own_life(log: Collector) -> None:
    """A queue says once that it started, drains and stopped, and what it had to do."""

    async def story(bench: Bench) -> None:
        await bench.begin()
        await bench.put()
        bench.open_gates()

    with_bench(story, concurrency=1)
    own = [(record.getMessage(), extras(record)) for record in log.records]
    own = [(event, extra) for event, extra in own if "backend" in extra]
    common = {"backend": "asyncio", "concurrency": 1}
    assert own[0] == ("worker_started", {**common, "pending": 0, "running": 0})
    assert [event for event, _ in own] == ["worker_started", "queue_draining", "worker_stopped"]
    assert own[2] == ("worker_stopped", {**common, "pending": 0, "running": 0})
    assert {level for level, event in log.events if event == own[0][0]} == {INFO}


def test_messages_are_fixed_names(log: Collector) -> None:
    """The message is the event's name alone, so that a log can be searched and counted."""

    async def story(bench: Bench) -> None:
        await bench.begin()

    with_bench(story)
    assert all(record.args == () and record.msg.isidentifier() for record in log.records)
    assert {record.name for record in log.records} == {"stoat_jobs"}
