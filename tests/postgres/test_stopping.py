"""How a queue stops, and starts again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
import uvloop

from stoat_jobs import JobContext, JobHandlers, JobStatus, QueueClosedError, QueueStartedError
from stoat_jobs._postgres import keeper, telling
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.side_tasks import SideTask

from .queues import LIMIT, Gate, queue_on, rows_of, until

ON_BOTH_LOOPS = pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def holding(gate: Gate) -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def hold(ctx: JobContext, n: int = 0) -> str:
        await gate.wait(n)
        return "done"

    return handlers


async def test_what_is_stopped_runs_elsewhere_at_once(url: str) -> None:
    """A job that the shutdown stops is given back, and told so; another worker runs it."""
    gate = Gate()
    one, two = queue_on(url, holding(gate)), queue_on(url, holding(gate), concurrency=1)
    async with two:
        async with one:
            job_id = await one.submit("hold")
            busy = await one.submit("hold")
            await gate.until(2)
            waiting = asyncio.ensure_future(one.wait(job_id))
            await asyncio.sleep(0)
        gate.opened.set()
        assert (await two.wait(job_id)).status is JobStatus.COMPLETED
        assert (await two.wait(busy)).status is JobStatus.COMPLETED
    with pytest.raises(QueueClosedError):
        await waiting
    assert 3 <= len(gate.arrived) <= 4


async def test_a_job_between_its_attempts_is_given_back(url: str) -> None:
    """A job that waits for its next attempt is not failed by the shutdown: it runs elsewhere."""
    handlers = JobHandlers()
    calls = []

    @handlers.job(retries=1)
    async def flaky(ctx: JobContext) -> str:
        calls.append(ctx.attempt)
        if len(calls) == 1:
            raise ConnectionError("not yet")
        return "done"

    async with queue_on(url, handlers) as queue:
        job_id = await queue.submit("flaky")

        async def has_failed_once() -> bool:
            return bool(calls)

        await until(has_failed_once)
    assert (await queue.get_result(job_id)).status is JobStatus.PENDING
    async with queue_on(url, handlers) as other:
        record = await other.wait(job_id)
    assert (record.status, record.attempt, calls) == (JobStatus.COMPLETED, 0, [0, 0])


@pytest.mark.parametrize("on_shutdown", ["requeue", "settle"])
async def test_a_stop_that_is_cancelled_writes_what_became_of_its_jobs(
    url: str, on_shutdown: str
) -> None:
    """However the stop is cut short, what ran is given back or settled, and the queue is closed."""
    gate = Gate()
    options = {"on_shutdown": on_shutdown}
    queue = queue_on(url, holding(gate), options=options, drain_timeout=60)
    await queue.__aenter__()
    job_id = await queue.submit("hold")
    await gate.until(1)
    stopping = asyncio.ensure_future(queue.__aexit__(None, None, None))
    await asyncio.sleep(0.1)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not queue.started
    record = await queue.get_result(job_id)
    expected = JobStatus.PENDING if on_shutdown == "requeue" else JobStatus.CANCELLED
    assert record.status is expected


async def test_the_stop_waits_for_outcomes_as_long_as_it_may(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the drain was short, its time is there for a server that is slow."""
    gate, fetch = Gate(), Connections.fetch_apart
    is_stopping = asyncio.Event()

    async def slowly(self: Connections, *args: Any, **more: Any) -> Any:
        await is_stopping.wait()
        await asyncio.sleep(1.5)
        return await fetch(self, *args, **more)

    monkeypatch.setattr(Connections, "fetch_apart", slowly)
    async with queue_on(url, holding(gate), drain_timeout=LIMIT) as queue:
        job_id = await queue.submit("hold")
        await gate.until(1)
        gate.opened.set()
        is_stopping.set()
    assert (await queue.get_result(job_id)).status is JobStatus.COMPLETED


async def test_a_cancel_of_the_stop_is_heard_at_its_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cancels the stop while side tasks end gets the cancellation, and the queue is closed."""
    gate, close = Gate(), SideTask.close

    async def slowly(self: SideTask, seconds: float = 0.0) -> None:
        try:
            if self.name == "report":
                await gate.wait(self.name)
        finally:
            await close(self, seconds)

    monkeypatch.setattr(SideTask, "close", slowly)
    queue = queue_on(url, holding(gate))
    await queue.__aenter__()
    stopping = asyncio.ensure_future(queue.__aexit__(None, None, None))
    await gate.until(1)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not queue.started


async def test_each_life_is_another_owner(url: str) -> None:
    """Two starts of one queue, and two processes forked from it, are never taken for each other."""
    queue, owners = queue_on(url, holding(Gate())), set()
    for _ in range(2):
        async with queue:
            assert queue._life is not None
            assert queue._life.worker is not None
            owners.add(queue._life.worker._claims.owner)
    assert len(owners) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_each_forked_child_is_another_owner(url: str) -> None:
    """Children of a process that has made the queue, and not started it."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS, url], check=True, timeout=60, capture_output=True, text=True
    )
    assert len(set(done.stdout.split())) == 2


FORKS = """
import asyncio, os, sys, warnings
from stoat_jobs import JobHandlers, JobQueueSettings
from stoat_jobs.postgres import PostgresJobQueue

warnings.simplefilter("ignore")
queue = PostgresJobQueue(JobHandlers(), JobQueueSettings(url=sys.argv[1], drain_timeout=0))

async def main():
    async with queue:
        os.write(1, f"{queue._life.worker._claims.owner}\\n".encode())

for _ in range(2):
    if not (child := os.fork()):
        asyncio.run(main())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


async def test_it_starts_again_after_it_was_left(url: str) -> None:
    """A queue may be entered again; two starts at once are refused."""
    gate = Gate()
    gate.opened.set()
    queue = queue_on(url, holding(gate))
    for _ in range(2):
        async with queue:
            with pytest.raises(QueueStartedError):
                await queue.__aenter__()
            job_id = await queue.submit("hold")
            assert (await queue.wait(job_id)).result == "done"
    assert (await queue.get_result(job_id)).result == "done"


@ON_BOTH_LOOPS
def test_it_starts_again_in_another_loop(url: str, factory: object) -> None:
    """Each start may be on another event loop, of asyncio or of uvloop."""
    gate = Gate()
    gate.opened.set()
    queue = queue_on(url, holding(gate))

    async def run() -> object:
        async with queue:
            return (await queue.wait(await queue.submit("hold"))).result

    for _ in range(2):
        with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]
            assert runner.run(run()) == "done"


async def test_a_handler_may_cancel_its_own_job(url: str) -> None:
    """It gets its answer first, and is cancelled then."""
    handlers = JobHandlers()
    answers = []

    @handlers.job
    async def gives_up(ctx: JobContext) -> None:
        answers.append(await ctx.queue.cancel(ctx.job_id))
        await asyncio.sleep(LIMIT)

    async with queue_on(url, handlers) as queue:
        record = await queue.wait(await queue.submit("gives_up"), timeout=LIMIT)
    assert answers == [True]
    assert record.status is JobStatus.CANCELLED


async def test_the_ages_of_side_tasks_are_known(url: str) -> None:
    """A health check sees each side task."""
    gate = Gate()
    gate.opened.set()
    queue = queue_on(url, holding(gate))
    assert queue.side_task_ages() == {}
    async with queue:
        await queue.wait(await queue.submit("hold"))
        names = {"beat", "listen", "read", "submit", "claim", "finish", "report", "keep"}
        assert set(queue.side_task_ages()) == names
        assert all(0 <= age < LIMIT for age in queue.side_task_ages().values())


@ON_BOTH_LOOPS
def test_who_cancels_all_tasks_fails_what_runs_and_no_more__fault_22(
    url: str, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits runs then, whoever waits is told without a look, and old records go."""
    monkeypatch.setattr(telling, "_POLL", 3600.0)
    monkeypatch.setattr(keeper, "_PRUNE_EVERY", 0.1)

    async def run() -> None:
        gate, submits = Gate(), {"worker": False}
        async with (
            asyncio.timeout(LIMIT),
            queue_on(url, holding(gate), concurrency=2) as worker,
            queue_on(url, holding(gate), options=submits) as other,
        ):
            ran = [await other.submit("hold", {"n": n}) for n in range(2)]
            await gate.until(2)
            waits = await other.submit("hold", {"n": 2})
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            gate.opened.set()
            for job_id in ran:
                record = await other.wait(job_id)
                assert record.status is JobStatus.FAILED
                assert "cancelled, but not through the queue" in str(record.error)
            assert (await other.wait(waits)).status is JobStatus.COMPLETED
            later = await worker.submit("hold", {"n": 3})
            assert (await other.wait(later)).status is JobStatus.COMPLETED
            await rows_of(url, "UPDATE stoat_jobs.job SET finished_at = now() - interval '1 day'")

            async def are_gone() -> bool:
                return not await rows_of(url, "SELECT FROM stoat_jobs.job")

            await until(are_gone)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())
