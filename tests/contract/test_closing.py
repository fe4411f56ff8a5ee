"""What fails to close is closed all the same, and the first reason is the one that is told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, BackendStartError, JobQueueSettings, JobStatus
from stoat_jobs._backends.retention import Retention
from stoat_jobs.testing import Bench

from ..support.stores import TextHandle, TextJobQueue, TextStore

SETTINGS = JobQueueSettings(loop_block_limit=0)


class FragileHandle(TextHandle):
    """A store that fails as its queue says."""

    queue: FragileQueue

    def open(self) -> None:
        super().open()
        if self.queue.open_error is not None:
            raise self.queue.open_error

    def close(self) -> None:
        super().close()
        if self.queue.close_error is not None:
            raise self.queue.close_error


class FragileQueue(TextJobQueue):
    """A queue whose store fails to open, to close, or both."""

    open_error: BaseException | None = None
    close_error: Exception | None = None

    def make_store(self) -> FragileHandle:
        handle = FragileHandle(self._given)
        handle.queue = self
        return handle


def fragile() -> tuple[Bench, FragileQueue]:
    bench = Bench()
    bench.queue = queue = FragileQueue(bench.handlers, SETTINGS, store=TextStore())
    return bench, queue


def events(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record.msg for record in caplog.records]


async def run_a_job(bench: Bench) -> JobStatus:
    return (await bench.finish(await bench.begin(), 1)).status


async def test_a_store_that_fails_to_close_ends_the_queues_life__fault_58(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The queue is closed, its end is logged, the reason is raised, and it can be used again."""
    caplog.set_level(logging.INFO)
    bench, queue = fragile()
    await bench.open()
    job_id = await bench.put()
    bench.open_gates()
    queue.close_error = OSError("disk gone")
    with pytest.raises(OSError, match="disk gone"):
        await bench.close()
    assert queue.started is False
    assert (await queue.get_result(job_id)).status.is_terminal
    assert events(caplog)[-1] == "worker_stopped"
    queue.close_error = None
    async with bench:
        assert await run_a_job(bench) is JobStatus.COMPLETED


async def test_a_start_that_fails_is_told_with_its_own_reason__fault_58(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What then fails to close is in the log, and hides nothing."""
    bench, queue = fragile()
    queue.open_error = OSError("used by process 4711")
    queue.close_error = AttributeError("no attribute 'close'")
    with pytest.raises(BackendStartError, match="cannot start: used by process 4711"):
        await bench.open()
    assert "shut_failed" in events(caplog)
    queue.open_error = queue.close_error = None
    async with bench:
        assert await run_a_job(bench) is JobStatus.COMPLETED


async def test_what_ended_the_life_of_a_queue_is_what_is_raised__fault_58(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error of the application's own is not hidden by a store that fails to close after it."""
    bench, queue = fragile()
    with pytest.raises(LookupError, match="the application's"):
        async with queue:
            queue.close_error = OSError("disk gone")
            raise LookupError("the application's")
    assert "shut_failed" in events(caplog)
    assert queue.started is False


async def test_a_ctrl_c_in_the_start_leaves_nothing_open__fault_58() -> None:
    """A start that the user cuts short is undone, and passes the Ctrl-C on."""
    bench, queue = fragile()
    queue.open_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await queue.__aenter__()
    queue.open_error = None
    async with bench:
        assert await run_a_job(bench) is JobStatus.COMPLETED


async def test_without_a_store_it_is_the_same__fault_58(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue in the process that fails to close something is closed, and can be used again."""
    bench = Bench()
    bench.queue = AsyncioJobQueue(bench.handlers, SETTINGS)
    await bench.open()

    def refuse(self: Retention, loop: Any) -> None:
        raise OSError("no clock")

    with monkeypatch.context() as patched:
        patched.setattr(Retention, "expire_on", refuse)
        with pytest.raises(OSError, match="no clock"):
            await bench.close()
    assert bench.queue.started is False
    async with bench:
        assert await run_a_job(bench) is JobStatus.COMPLETED
