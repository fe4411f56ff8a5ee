"""A job that is lost to another worker: its handler stops, and nothing comes of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stoat_jobs import Backoff, JobContext
from stoat_jobs._run.finishing import FinishingRun
from stoat_jobs.backends import StopReason

from ..support.lone_run import GRACE, Lone, advance, on_loops, settle

HOURS = Backoff(first=10_000, maximum=10_000, jitter=0)


class Handler:
    """Handlers that note what becomes of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.go_on = threading.Event()

    async def polite(self, ctx: JobContext) -> None:
        """Lets a cancel pass."""
        self.seen.append("called")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise

    async def returning(self, ctx: JobContext) -> int:
        """Answers a cancel with a value."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
        return 7

    async def raising(self, ctx: JobContext) -> None:
        """Answers a cancel with an error."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise ValueError("while stopping") from None

    async def deaf(self, ctx: JobContext) -> None:
        """Goes on whatever comes, until it is closed."""
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.seen.append("cancelled")
            except GeneratorExit:
                self.seen.append("closed")
                raise

    async def waiting(self, ctx: JobContext) -> None:
        """Waits until it is told."""
        await ctx.wait_cancelled()
        self.seen.append("told")

    def looking(self, ctx: JobContext) -> None:
        """Is in a thread, and looks at its flag when it may go on."""
        self.seen.append("called")
        self.go_on.wait()
        self.seen.append("told" if ctx.cancelled else "not told")

    async def failing(self, ctx: JobContext) -> None:
        self.seen.append("called")
        raise ValueError("again")


@pytest.fixture
def handler() -> Handler:
    return Handler()


@on_loops
@pytest.mark.parametrize("name", ["polite", "returning", "raising"])
async def test_a_lost_job_is_cancelled_and_has_no_outcome(handler: Handler, name: str) -> None:
    """However an async handler answers, its host only hears that the job was dropped."""
    lone = Lone(getattr(handler, name))
    await settle()
    lone.run.drop()
    assert lone.told == ["started"]
    assert await lone.ended() == ["started", "dropped"]
    assert lone.run.is_finished
    assert lone.run.is_gone


@on_loops
async def test_a_lost_jobs_thread_sees_the_flag(handler: Handler) -> None:
    """A sync handler is told by its flag, and the host when the thread has returned."""
    lone = Lone(handler.looking)
    await settle()
    lone.run.drop()
    await settle()
    assert lone.told == ["started"]
    handler.go_on.set()
    assert await lone.ended() == ["started", "dropped"]
    assert handler.seen == ["called", "told"]
    assert not lone.run.is_alive


@on_loops
async def test_a_lost_cooperative_job_has_the_flag_first(handler: Handler) -> None:
    """A cooperative handler hears that it is to stop, and is not cancelled in its grace period."""
    lone = Lone(handler.waiting, cooperative=True)
    await settle()
    lone.run.drop()
    assert await lone.ended() == ["started", "dropped"]
    assert handler.seen == ["told"]


@on_loops
async def test_a_lost_job_has_the_graces_of_a_shutdown(handler: Handler) -> None:
    """One that does not stop is cancelled after one grace if it is cooperative, then abandoned."""
    lone = Lone(handler.deaf, cooperative=True, cancel_grace=3.0, timeout_grace=1000.0)
    await settle()
    lone.run.drop()
    await advance(2.9)
    assert handler.seen == []
    await advance(0.2)
    assert (handler.seen, lone.told) == (["cancelled"], ["started"])
    await advance(2.7)
    assert lone.told == ["started"]
    await advance(0.2)
    assert await lone.ended() == ["started", "dropped"]
    assert handler.seen == ["cancelled", "closed"]


@on_loops
async def test_a_thread_that_a_lost_job_leaves_is_alive(handler: Handler) -> None:
    """A sync handler that looks at no flag is abandoned after its grace; the run says so."""
    lone = Lone(handler.looking)
    await settle()
    lone.run.drop()
    await advance(GRACE)
    assert await lone.ended() == ["started", "dropped"]
    assert lone.run.is_alive
    handler.go_on.set()
    while lone.run.is_alive:
        await asyncio.sleep(0)
    assert lone.told == ["started", "dropped"]


@on_loops
@pytest.mark.parametrize("reason", StopReason)
async def test_a_job_that_was_told_to_stop_can_be_lost(
    handler: Handler, reason: StopReason
) -> None:
    """Whatever it was told to stop for, it ends for nobody, and has no grace period more."""
    lone = Lone(handler.deaf)
    await settle()
    assert lone.stop(reason)
    await advance(GRACE - 1)
    lone.run.drop()
    assert not lone.stop(reason)  # it will not finish for this reason
    await advance(1)
    assert await lone.ended() == ["started", "stopping", "dropped"]
    assert handler.seen == ["cancelled", "closed"]


@on_loops
async def test_a_job_can_be_lost_in_its_last_grace(handler: Handler) -> None:
    """A cooperative handler that was cancelled already has what is left of that grace period."""
    lone = Lone(handler.deaf, cooperative=True)
    await settle()
    lone.stop()
    await advance(GRACE + 1)
    assert handler.seen == ["cancelled"]
    lone.run.drop()
    await advance(GRACE - 1)
    assert await lone.ended() == ["started", "stopping", "dropped"]
    assert handler.seen == ["cancelled", "closed"]


@on_loops
async def test_a_job_can_be_lost_before_its_next_attempt(handler: Handler) -> None:
    """One that waits for its next attempt is dropped at once, and has none."""
    lone = Lone(handler.failing, retries=3, backoff=HOURS, timeout=1e9)
    await settle()
    lone.run.drop()
    assert await lone.ended() == ["started", "dropped"]
    assert handler.seen == ["called"]


@on_loops
async def test_a_job_can_be_lost_while_its_queue_drains(handler: Handler) -> None:
    """A queue that closes hears of a lost job as one that does not."""
    lone = Lone(handler.polite)
    await settle()
    lone.run.drain()
    lone.run.drop()
    assert await lone.ended() == ["started", "dropped"]


@on_loops
async def test_a_job_can_be_lost_when_others_have_cancelled_its_task(handler: Handler) -> None:
    """Between somebody's cancel of its task and what follows from it, it is dropped all the same."""
    lone = Lone(handler.polite)
    await settle()
    assert lone.run.task is not None
    lone.run.task.cancel()
    while lone.run.state == "running":
        await asyncio.sleep(0)
    assert lone.run.state == "cut_off"
    lone.run.drop()
    assert await lone.ended() == ["started", "cancelled externally", "dropped"]


@on_loops
@pytest.mark.parametrize("name", ["polite", "looking", "waiting"])
async def test_a_job_that_is_lost_before_it_began_never_begins(handler: Handler, name: str) -> None:
    """The handler of a job that was lost before its task's first step is not called."""
    lone = Lone(getattr(handler, name), cooperative=name == "waiting")
    lone.run.drop()
    assert await lone.ended() == ["dropped"]
    assert handler.seen == []


@on_loops
async def test_a_job_that_has_finished_is_not_lost(handler: Handler) -> None:
    """What comes too late changes nothing."""

    async def noop(ctx: JobContext) -> None: ...

    lone = Lone(noop)
    assert await lone.ended() == ["started", "completed"]
    lone.run.drop()
    await advance(3 * GRACE)
    assert lone.told == ["started", "completed"]


@on_loops
async def test_a_lost_job_is_dropped_once(handler: Handler) -> None:
    """Whoever drops, stops or drains it again changes nothing, and its deadline neither."""
    lone = Lone(handler.deaf, timeout=1.0)
    await settle()
    for _ in range(2):
        lone.run.drop()
        assert not lone.stop(StopReason.SHUTDOWN)
        lone.run.drain()
    await advance(3 * GRACE)
    assert await lone.ended() == ["started", "dropped"]
    assert handler.seen == ["cancelled", "closed"]


@on_loops
async def test_what_a_lost_job_reports_is_ignored() -> None:
    """Progress and metadata after the loss reach nobody: they would be written over another's."""

    async def reporting(ctx: JobContext) -> None:
        ctx.set_progress(0.5)
        ctx.update_metadata(a=1)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ctx.set_progress(0.7)
            ctx.update_metadata(a=2)

    lone = Lone(reporting)
    await settle()
    lone.run.drop()
    await lone.ended()
    assert lone.host.reports == [0.5, {"a": 1}]


@on_loops
async def test_what_a_lost_jobs_thread_reports_is_ignored() -> None:
    """So is what its thread had sent before, and the loop has not read yet."""
    sent, go_on = threading.Event(), threading.Event()

    def reporting(ctx: JobContext) -> None:
        ctx.set_progress(0.5)
        ctx.update_metadata(a=1)
        sent.set()
        go_on.wait()
        ctx.set_progress(0.7)
        ctx.update_metadata(a=2)

    lone = Lone(reporting)
    await asyncio.sleep(0)
    sent.wait()  # the loop is held, so that it cannot read
    lone.run.drop()
    await settle()
    go_on.set()
    await lone.ended()
    await settle()
    assert lone.host.reports == []


@on_loops
@pytest.mark.parametrize("name", ["deaf", "looking", "waiting"])
async def test_a_lost_job_can_be_abandoned_at_once(handler: Handler, name: str) -> None:
    """A queue that must end now is told of a lost job at once, and never again."""
    lone = Lone(getattr(handler, name))
    await settle()
    lone.run.drop()
    lone.run.abandon()
    assert lone.told == ["started", "dropped"]
    handler.go_on.set()
    await advance(3 * GRACE)
    assert await lone.ended() == ["started", "dropped"]


@on_loops
async def test_a_ctrl_c_while_a_lost_job_ends_keeps_no_slot(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host is told even so, and the interrupt is the user's."""

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    lone = Lone(handler.polite)
    await settle()
    lone.run.drop()
    monkeypatch.setattr(FinishingRun, "_let_go", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lone.run.abandon()
    assert lone.told == ["started", "dropped"]
    monkeypatch.undo()
    await settle()
    assert lone.told == ["started", "dropped"]


@on_loops
async def test_a_lost_job_keeps_what_its_handler_hands_over_from_warning(
    handler: Handler, recwarn: pytest.WarningsRecorder
) -> None:
    """A coroutine that nobody awaits any more is closed."""

    async def later() -> None: ...

    async def returns_one(ctx: JobContext) -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return later()

    lone = Lone(returns_one)
    await settle()
    lone.run.drop()
    assert await lone.ended() == ["started", "dropped"]
    assert [str(warning.message) for warning in recwarn] == []


@on_loops
@pytest.mark.parametrize("when", ["before", "in the pause", "while the last attempt runs"])
async def test_a_retry_that_a_closing_queue_prevents_is_said_and_asked_for_once(when: str) -> None:
    """The outcome says that there would have been another attempt; retry_on is asked once each."""
    asked: list[Exception] = []
    gate = asyncio.get_running_loop().create_future()

    def retry_on(error: Exception) -> bool:
        asked.append(error)
        return True

    async def failing(ctx: JobContext) -> None:
        if when != "in the pause":
            await gate
        raise ValueError("again")

    retries = 0 if when == "while the last attempt runs" else 3
    options: dict[str, Any] = {"retries": retries, "timeout": 1e9}
    if retries:
        options |= {"retry_on": retry_on, "backoff": HOURS}
    lone = Lone(failing, **options)
    await settle()
    lone.run.drain()
    gate.set_result(None)
    assert await lone.ended() == ["started", "finished"]
    assert lone.host.outcome is not None
    assert lone.host.outcome.would_retry is bool(retries)
    assert "again" in str(lone.host.outcome.error)
    assert len(asked) == bool(retries)


@on_loops
async def test_a_job_that_is_cancelled_in_its_pause_would_not_be_retried(handler: Handler) -> None:
    """Only a closing queue prevents an attempt: a cancel, a deadline and an answer do not."""
    cancelled = Lone(handler.failing, retries=3, backoff=HOURS, timeout=1e9)
    too_late = Lone(handler.failing, retries=3, backoff=HOURS, timeout=9_000)
    refused = Lone(handler.failing, retries=3, backoff=HOURS, retry_on=KeyError, timeout=1e9)
    await settle()
    cancelled.stop()
    for lone in (cancelled, too_late, refused):
        lone.run.drain()
        await lone.ended()
        assert lone.host.outcome is not None
        assert not lone.host.outcome.would_retry
