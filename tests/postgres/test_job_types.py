"""The option `job_types`: a worker of some types alone."""

from __future__ import annotations

import pytest

from stoat_jobs import BackendStartError, JobContext, JobHandlers, JobStatus

from .queues import queue_on


@pytest.fixture
def handlers() -> JobHandlers:
    """Three types, which say where they ran."""
    handlers = JobHandlers()
    for name in ("draw", "mail", "scan"):

        async def run(ctx: JobContext) -> list[str] | None:
            types: list[str] | None = ctx.queue.settings.options.get("job_types")
            return types

        handlers.register(name, run)
    return handlers


async def test_a_worker_claims_its_types_alone(url: str, handlers: JobHandlers) -> None:
    """Each job runs where its type is named; what nobody names waits, and can be submitted."""
    one = queue_on(url, handlers, options={"job_types": ["draw"]})
    two = queue_on(url, handlers, options={"job_types": ["mail", "draw"]})
    async with one, two:
        waiting = await one.submit("scan")
        ids = [await one.submit("mail") for _ in range(5)]
        for job_id in ids:
            assert (await one.wait(job_id)).result == ["mail", "draw"]
        drawn = await two.wait(await two.submit("draw"))
        assert drawn.result in (["draw"], ["mail", "draw"])
        assert await one.get_status(waiting) is JobStatus.PENDING
    async with queue_on(url, handlers) as anyone:
        assert (await anyone.wait(waiting)).status is JobStatus.COMPLETED


async def test_no_types_are_none(url: str, handlers: JobHandlers) -> None:
    """An empty list runs nothing; the rest of the queue works."""
    idle = queue_on(url, handlers, options={"job_types": []})
    async with idle, queue_on(url, handlers) as busy:
        records = [await busy.wait(await idle.submit("mail")) for _ in range(5)]
    assert [record.result for record in records] == [None] * 5


async def test_a_type_without_a_handler_is_refused(url: str, handlers: JobHandlers) -> None:
    """The start fails with the name, and those that there are, the nearest first."""
    queue = queue_on(url, handlers, options={"job_types": ["draw", "mial"]})
    with pytest.raises(BackendStartError) as caught:
        await queue.__aenter__()
    assert str(caught.value) == (
        "backend 'postgres' cannot start: its option job_types has 'mial', for which there is no"
        " handler here; known, nearest first: mail, draw, scan"
    )
    assert not queue.started
    # A process that only submits may have the settings of the workers.
    options = {"job_types": ["other"], "worker": False}
    async with queue_on(url, handlers, options=options) as web:
        assert web.started


def test_job_types_are_a_list(url: str) -> None:
    """One name alone would be taken for its letters."""
    with pytest.raises(ValueError, match="job_types"):
        queue_on(url, options={"job_types": "scan"})


async def test_who_runs_here_is_known_without_the_server(url: str, handlers: JobHandlers) -> None:
    """``running_here`` counts the jobs of this process, and is 0 elsewhere and afterwards."""
    counts = []

    async def count(ctx: JobContext) -> int:
        counts.append((worker.running_here, web.running_here))
        return worker.running_here

    handlers.register("count", count)
    worker = queue_on(url, handlers)
    web = queue_on(url, handlers, options={"worker": False})
    async with worker, web:
        assert (await web.wait(await web.submit("count"))).result == 1
    assert counts == [(1, 0)]
    assert worker.running_here == 0
