"""A stop with many jobs that wait gives up turns of the event loop, and keeps every promise."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from stoat_jobs import (
    FinishedEvent,
    InMemoryJobQueue,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    QueueClosedError,
)
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support.loops import ON_UVLOOP, UvloopWithFakeClock
from ..support.stores import TextJobQueue, TextStore
from ..support.turns import App, Run, Ticker, turns


class Ends(JobObserver):
    """Notes which jobs finished, in their order, and how."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.errors: list[str | None] = []

    def finished(self, event: FinishedEvent) -> None:
        self.ids.append(event.job_id)
        self.errors.append(event.record.error_type)


def cancelled(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many jobs each line of the log says that the stop cancelled."""
    found: list[Any] = [each for each in caplog.records if each.getMessage() == "jobs_cancelled"]
    return [line.count for line in found]


def test_closing_many_that_wait_gives_up_turns(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """They finish in their order and in one line of the log; no other starts or is accepted."""
    app, ends = App(), Ends()

    class Client(Ticker):
        async def tick(self) -> None:
            if self.turns == 3:
                app.reports.put_nowait(None)  # what runs finishes, and its slot is free
            with pytest.raises(QueueClosedError):
                await queue.submit("noop")

    queue = app.queue(ends)

    async def main() -> None:
        await queue.__aenter__()
        first = await queue.submit("held")
        ids = [await queue.submit("noop") for _ in range(1_000)]
        client = Client()
        await client.during(queue.__aexit__(None, None, None))
        assert client.turns >= 1_000 // 50 - 1
        assert ends.ids.index(first) < 500
        ends.ids.remove(first)
        assert ends.ids == ids
        assert cancelled(caplog) == [1_000]

    run(main())


def test_closing_gives_up_turns_on_memory_too(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The backend for tests behaves like the one that it stands in for."""
    app, ends = App(), Ends()
    settings = JobQueueSettings(backend="memory", options={"autorun": False})

    async def main() -> None:
        queue = InMemoryJobQueue(app.handlers, settings, [ends])
        await queue.__aenter__()
        ids = [await queue.submit("noop") for _ in range(1_000)]
        ticker = Ticker()
        await ticker.during(queue.__aexit__(None, None, None))
        assert ticker.turns >= 1_000 // 50 - 1
        assert (ends.ids, set(ends.errors)) == (ids, {"Shutdown"})
        assert cancelled(caplog) == [1_000]

    run(main())


def test_leaving_many_in_a_store_gives_up_turns(run: Run) -> None:
    """Everyone who waits for one of them is told, and the next start runs them in their order."""
    app, ends, store = App(), Ends(), TextStore()
    settings = JobQueueSettings(concurrency=1, loop_block_limit=0, drain_timeout=0)

    async def main() -> None:
        queue = TextJobQueue(app.handlers, settings, store=store)
        await queue.__aenter__()
        first = await queue.submit("held")
        ids = [await queue.submit("noop") for _ in range(1_000)]
        waits = [asyncio.ensure_future(queue.wait(job_id)) for job_id in ids]
        await turns()
        told: list[int] = []

        class Looking(Ticker):
            async def tick(self) -> None:
                told.append(sum(wait.done() for wait in waits))

        await Looking().during(queue.__aexit__(None, None, None))
        assert len({number for number in told if number < 1_000}) >= 1_000 // 50 - 3
        errors = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(error) for error in errors} == {QueueClosedError}
        assert (await queue.get_result(first)).status is JobStatus.PENDING
        async with TextJobQueue(app.handlers, settings, [ends], store=store) as again:
            app.reports.put_nowait(None)  # what was stopped runs again, and finishes
            await again.wait(ids[-1])
        assert ends.ids == [first, *ids]

    run(main())


@pytest.mark.parametrize("cancels", [1, 2])
def test_closing_that_is_cut_short_finishes_all_the_same(
    run: Run, cancels: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop that is itself cancelled half-way finishes the rest at once, in the same line."""
    app, ends = App(), Ends()

    async def main() -> None:
        queue = app.queue(ends)
        await queue.__aenter__()
        ids = [await queue.submit("held"), *[await queue.submit("noop") for _ in range(1_000)]]
        leaving = asyncio.ensure_future(queue.__aexit__(None, None, None))
        await turns()
        assert 0 < len(ends.ids) < 500
        for _ in range(cancels):
            leaving.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert sorted(ends.ids) == sorted(ids)
        assert set(ends.errors) == {"Shutdown"}
        assert cancelled(caplog) == [1_000]

    run(main())


def test_a_ctrl_c_while_many_are_closed_finishes_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Wherever it comes, every job finishes, and the log counts each once."""
    app, ends = App(), Ends()

    class Interrupted(Ends):
        def finished(self, event: FinishedEvent) -> None:
            super().finished(event)
            if len(self.ids) in (70, 120):
                raise KeyboardInterrupt

    ends = Interrupted()

    async def main() -> None:
        async with app.queue(ends) as queue:
            for job_type in ("held", *["noop"] * 300):
                await queue.submit(job_type)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(set(ends.ids)) == len(ends.ids) == 301
    assert set(ends.errors) == {"Shutdown"}
    assert sum(cancelled(caplog)) == 300


def test_a_job_that_a_caller_cancels_while_the_queue_closes_says_so(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """It is none of those that the shutdown cancelled, in its record and in the log."""
    app, ends = App(), Ends()
    caplog.set_level(logging.INFO, "stoat_jobs")

    async def main() -> None:
        queue = app.queue(ends)
        await queue.__aenter__()
        ids = [await queue.submit(each) for each in ("held", *["noop"] * 1_000)]
        leaving = asyncio.ensure_future(queue.__aexit__(None, None, None))
        await turns()
        app.reports.put_nowait(None)
        assert await queue.cancel(ids[-1])
        assert await queue.cancel(ids[-2])
        await leaving
        assert ends.errors.count("Cancelled") == 2
        assert cancelled(caplog) == [998]
        assert caplog.messages.count("job_cancelled") == 2

    run(main())


def test_what_runs_is_stopped_in_time_however_many_wait(run: Run) -> None:
    """The time to drain is over while others are still being closed: the handler hears of it."""
    app = App()

    async def main() -> None:
        async with app.queue(drain_timeout=0) as queue:
            for job_type in ("held", *["noop"] * 1_000):
                await queue.submit(job_type)
            await turns()

    run(main())
    assert app.stopped_with is not None
    assert app.stopped_with > 500


@pytest.mark.parametrize(
    "make_loop", [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]
)
def test_closing_gives_up_no_turn_after_its_time(make_loop: Any) -> None:
    """Where turns take long, the stop still returns in time: the rest is closed in one piece."""
    app = App()

    class Slow(Ticker):
        async def tick(self) -> None:
            loop: Any = asyncio.get_running_loop()
            loop.jump(1.0)

    async def main() -> None:
        ticker = Slow()
        queue = app.queue(drain_timeout=2, cancel_grace=0)
        await queue.__aenter__()
        for job_type in ("held", *["noop"] * 1_000):
            await queue.submit(job_type)
        await ticker.during(queue.__aexit__(None, None, None))
        assert ticker.turns <= 6

    run_with_fake_clock(main(), make_loop)
