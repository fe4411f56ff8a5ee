"""An app of the usual shape, `create_app(settings=...)`, that is stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from stoat_jobs import (
    AsyncJobQueue,
    BackendError,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobRef,
    get_queue,
    lifespan,
)
from stoat_jobs.http import add_problem_handlers, allow_all, jobs_router
from stoat_jobs.sqlite import SqliteJobQueue

from ..support import SAFETY_NET
from ..support.serving import serving

handlers = JobHandlers()


class Report(BaseModel):
    """What a scan found."""

    files: int


@handlers.job
async def scan(ctx: JobContext, files: int = 0) -> Report:
    return Report(files=files)


@handlers.job
async def held(ctx: JobContext) -> str:
    """Waits until the test lets it go on."""
    ctx.app.state.began.append(ctx.job_id)
    await ctx.app.state.go_on.wait()
    return "done"


def create_app(job_queue: AsyncJobQueue | None = None, *, settings: JobQueueSettings) -> FastAPI:
    to_build = settings if job_queue is None else None
    app = FastAPI(lifespan=partial(lifespan, queue=job_queue, handlers=handlers, settings=to_build))
    app.include_router(
        jobs_router(authorize=allow_all, submittable=("scan", "held")), prefix="/jobs"
    )
    add_problem_handlers(app)
    app.state.began = []
    app.state.go_on = asyncio.Event()
    return app


class Runs:
    """Apps on one file, one after another; each is a new object."""

    def __init__(self, path: Path) -> None:
        self.settings = JobQueueSettings(backend="sqlite", url=str(path), drain_timeout=0)
        self.app: FastAPI
        self.client: httpx.AsyncClient

    @asynccontextmanager
    async def run(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the next app."""
        self.app = create_app(settings=self.settings.model_copy(update=settings))
        async with serving(self.app) as self.client:
            yield self.client

    async def submit(self, job_type: str, **body: Any) -> str:
        headers = body.pop("headers", {})
        answer = await self.client.post(
            "/jobs/", json={"job_type": job_type, **body}, headers=headers
        )
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    async def begin(self) -> str:
        """A job that runs until it is let go on."""
        job_id = await self.submit("held")
        while job_id not in self.app.state.began:
            await asyncio.sleep(0)
        return job_id

    async def record(self, job_id: str) -> dict[str, Any]:
        record: dict[str, Any] = (await self.client.get(f"/jobs/{job_id}")).json()
        return record

    async def ended(self, job_id: str) -> dict[str, Any]:
        """The record over HTTP, once it has finished."""
        await get_queue(self.app).wait(job_id, SAFETY_NET)
        return await self.record(job_id)


@pytest.fixture
def runs(path: Path) -> Runs:
    return Runs(path)


async def test_settings_alone_make_it_durable(runs: Runs, path: Path) -> None:
    """One word and a path in the settings are all that an app needs."""
    async with runs.run():
        assert isinstance(runs.app.state.job_queue, SqliteJobQueue)
        assert path.exists()


async def test_finished_jobs_are_there_after_a_restart(runs: Runs) -> None:
    """A record is the same over HTTP before and after a restart, and its result has its type."""
    async with runs.run():
        job_id = await runs.submit("scan", payload={"files": 3})
        before = await runs.ended(job_id)
        assert before["result"] == {"files": 3}
    async with runs.run():
        assert await runs.record(job_id) == before
        ref: JobRef[Report] = JobRef(get_queue(runs.app), job_id)
        assert await ref.value() == Report(files=3)


async def test_pending_and_interrupted_jobs_go_on(runs: Runs) -> None:
    """What ran when the app stopped runs again, what waited runs after it, with the same ids."""
    async with runs.run():
        running = await runs.begin()
        waiting = [await runs.submit("scan", payload={"files": n}) for n in range(3)]
    async with runs.run():
        assert {(await runs.record(each))["status"] for each in waiting} == {"pending"}
        while runs.app.state.began != [running]:
            await asyncio.sleep(0)
        runs.app.state.go_on.set()
        assert (await runs.ended(running))["result"] == "done"
        results = [(await runs.ended(each))["result"] for each in waiting]
        assert results == [{"files": n} for n in range(3)]


async def test_a_delayed_job_keeps_its_time(runs: Runs) -> None:
    """A job that may not start yet may not start after a restart either, until it is due."""
    async with runs.run():
        job_id = await get_queue(runs.app).submit("scan", delay=3600)
        before = await runs.record(job_id)
    async with runs.run():
        assert await runs.record(job_id) == before
        assert before["status"] == "pending"
        assert before["not_before"] is not None


async def test_a_list_goes_on_after_a_restart(runs: Runs) -> None:
    """The `next` link of a page leads to the rest of the list in the next app, too."""
    async with runs.run():
        ids = [await runs.submit("scan", payload={"files": n}) for n in range(5)]
        await runs.ended(ids[-1])
        page = await runs.client.get("/jobs/", params={"limit": 2})
    async with runs.run():
        await runs.ended(await runs.submit("scan"))
        listed = [record["job_id"] for record in page.json()]
        while "next" in page.links:
            page = await runs.client.get(page.links["next"]["url"])
            listed += [record["job_id"] for record in page.json()]
        assert listed == ids[::-1]


async def test_an_idempotency_key_holds_over_a_restart(runs: Runs) -> None:
    """A request that is repeated after a restart gets the first job; another payload is refused."""
    key = {"Idempotency-Key": '"8e03978e"'}
    async with runs.run():
        first = await runs.submit("scan", payload={"files": 1}, headers=key)
        await runs.ended(first)
    async with runs.run():
        assert await runs.submit("scan", payload={"files": 1}, headers=key) == first
        other = {"job_type": "scan", "payload": {"files": 2}}
        answer = await runs.client.post("/jobs/", json=other, headers=key)
        assert answer.status_code == 422
        assert len((await runs.client.get("/jobs/")).json()) == 1


async def test_what_was_cancelled_stays_cancelled(runs: Runs) -> None:
    """A running job that a client cancels does not run again after a restart, nor does its like."""
    async with runs.run():
        running = await runs.begin()
        waiting = await runs.submit("scan")
        for each in (waiting, running):
            answer = await runs.client.post(f"/jobs/{each}/cancel")
            assert answer.status_code in {200, 202}
    async with runs.run():
        assert (await runs.record(running))["status"] == "cancelled"
        assert (await runs.record(waiting))["status"] == "cancelled"
        await runs.ended(await runs.submit("scan"))
        assert runs.app.state.began == []


async def test_a_deleted_record_stays_away(runs: Runs) -> None:
    """A finished job that a client deletes is not there after a restart."""
    async with runs.run():
        job_id = await runs.submit("scan")
        await runs.ended(job_id)
        assert (await runs.client.delete(f"/jobs/{job_id}")).status_code == 204
    async with runs.run():
        assert (await runs.client.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_request_that_waits_is_told_that_the_app_stops(runs: Runs) -> None:
    """A client that waits for a job that goes on later is answered, and may ask again then."""
    async with runs.run():
        job_id = await runs.begin()
        waiting = asyncio.create_task(runs.client.get(f"/jobs/{job_id}/wait"))
        for _ in range(100):  # until it waits
            await asyncio.sleep(0)
    answer = await waiting
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    async with runs.run():
        runs.app.state.go_on.set()
        assert (await runs.ended(job_id))["status"] == "completed"


async def test_a_second_app_does_not_start(runs: Runs) -> None:
    """A second app on the same file fails to start, and says who has the file; the first goes on."""
    async with runs.run():
        second = create_app(settings=runs.settings)
        with pytest.raises(BackendError, match="jobs.db"):
            async with serving(second):
                pass
        assert (await runs.ended(await runs.submit("scan")))["status"] == "completed"


async def test_another_backend_serves_the_same_app(runs: Runs) -> None:
    """The app is the same on `asyncio`: only what survives a restart differs."""
    async with runs.run(backend="asyncio", url=None):
        job_id = await runs.submit("scan", payload={"files": 3})
        assert (await runs.ended(job_id))["result"] == {"files": 3}
    async with runs.run(backend="asyncio", url=None):
        assert (await runs.client.get(f"/jobs/{job_id}")).status_code == 404
