"""What the kit excuses the backend from in part: few writes of reports, and patience in a rollout."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from stoat_jobs import JobContext, JobHandlers, JobStatus
from stoat_jobs._postgres import worker
from stoat_jobs._postgres.claims import Claims
from stoat_jobs._postgres.telling import Telling

from ..support import SAFETY_NET
from ..support.postgres.started import Held, started, until


async def test_progress_of_a_thread_reaches_watchers_while_it_runs(url: str) -> None:
    """A sync handler that reports, waits until it was seen, and reports again, completes."""
    handlers = JobHandlers()
    told = [threading.Event(), threading.Event()]

    @handlers.job
    def report(ctx: JobContext) -> bool:
        ctx.set_progress(0.25, "0")
        first = told[0].wait(SAFETY_NET)
        ctx.set_progress(0.5, "1")
        return first and told[1].wait(SAFETY_NET)

    async with started(url, handlers) as queue:
        job_id = await queue.submit("report")
        async for record in queue.watch(job_id):
            if record.message and record.status is JobStatus.RUNNING:
                told[int(record.message)].set()
    assert (record.status, record.result, record.progress) == (JobStatus.COMPLETED, True, 0.5)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
async def test_each_update_that_is_waited_for_is_watched(url: str, elsewhere: bool) -> None:
    """A watcher in any process sees an update of metadata, and then the next one."""
    held = Held()
    options = {"worker": False}
    async with (
        started(url, held.handlers) as runs,
        started(url, Held().handlers, options=options) as submits,
    ):
        asked = submits if elsewhere else runs
        job_id = await asked.submit("hold")
        await until(lambda: held.contexts)
        pages = []
        async for record in asked.watch(job_id):
            pages.append(record.metadata.get("page", 0))
            if pages[-1] == 2:
                held.gate.set()
            elif record.status is JobStatus.RUNNING:
                held.contexts[0].update_metadata(page=pages[-1] + 1)
    assert sorted(pages) == pages
    assert {1, 2} <= set(pages)


async def test_a_foreign_thread_is_told_the_way_for_finished_jobs_too(url: str) -> None:
    """All answers come in the queue's event loop: elsewhere, each method says how to ask there."""
    held = Held()
    async with started(url, held.handlers) as queue:
        done = await queue.wait(await queue.submit("go"))
        for ask in (queue.get_result, queue.get_status, queue.cancel, queue.wait, queue.watch):
            told = await asyncio.to_thread(asked_elsewhere, ask, done.job_id)
            assert told.startswith("RuntimeError: ")
            assert "from_thread" in told


def asked_elsewhere(ask: Any, job_id: str) -> str:
    """The error of a call from another event loop in this thread."""

    async def call() -> None:
        answer = ask(job_id)
        await (answer if inspect.isawaitable(answer) else answer.__anext__())

    try:
        asyncio.run(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def takes_text(handlers: JobHandlers, ran: list[Any]) -> None:
    @handlers.job
    async def changed(ctx: JobContext, name: str) -> str:
        ran.append(name)
        return name


def takes_a_number(handlers: JobHandlers, ran: list[Any]) -> None:
    @handlers.job
    async def changed(ctx: JobContext, name: int) -> int:
        ran.append(name)
        return name


async def test_what_this_code_refuses_runs_where_the_code_is_newer(url: str) -> None:
    """A payload that one worker refuses waits, until a worker that knows it runs the job."""
    old, new, ran = JobHandlers(), JobHandlers(), list[Any]()
    takes_text(old, ran)
    takes_a_number(new, ran)
    async with started(url, new, options={"worker": False}) as submits:
        job_id = await submits.submit("changed", {"name": 7})
        async with started(url, old) as worker_of_old:
            await until(lambda: was_refused(worker_of_old, job_id))
        assert (await submits.get_result(job_id)).status is JobStatus.PENDING
        async with started(url, new):
            done = await submits.wait(job_id)
    assert (done.status, done.result, ran) == (JobStatus.COMPLETED, 7, [7])


async def was_refused(queue: Any, job_id: str) -> bool:
    rows = await queue._connections.fetch(
        f"SELECT refusals FROM {queue.options.schema_name}.job WHERE id = $1::uuid", job_id
    )
    return bool(rows[0]["refusals"] > 0)


async def test_what_all_code_refuses_fails_in_the_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many tries the job fails with the reason, and it fails no other job."""
    monkeypatch.setattr(worker, "_MOST_REFUSALS", 1)
    old, new, ran = JobHandlers(), JobHandlers(), list[Any]()
    takes_text(old, ran)
    takes_a_number(new, ran)
    async with (
        started(url, new, options={"worker": False}) as submits,
        started(url, old) as works,
    ):
        job_id = await submits.submit("changed", {"name": 7})
        other = await works.submit("changed", {"name": "text"})
        assert (await works.wait(other)).result == "text"
        record = await submits.wait(job_id)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "InvalidPayloadError")
    assert ran == ["text"]


async def test_a_new_job_is_looked_for_here_without_a_notice(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker accepts it looks for at once, also behind a pooler that tells it nothing."""
    held = Held()
    monkeypatch.setattr(Telling, "_note_work", lambda self: None)
    async with started(url, held.handlers) as queue:
        await queue.wait(await queue.submit("go"))  # the first look is at the start
        monkeypatch.setattr(Claims, "_seconds_to_next", for_ever)
        ids = [await queue.submit("go"), *await queue.submit_many("go", [{}, {}])]
        records = [await queue.wait(job_id, SAFETY_NET) for job_id in ids]
        assert {record.status for record in records} == {JobStatus.COMPLETED}


async def for_ever(claims: Claims, connection: Any) -> float:
    return 3600.0
