"""A job asked for over HTTP."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.testclient import TestClient

from stoat_jobs import JobContext, JobHandlers, lifespan
from stoat_jobs.http import allow_all, jobs_app


def test_a_job_is_submitted_followed_and_read() -> None:
    """A mounted app takes a job, tells its end in a stream, and gives its record."""
    handlers = JobHandlers()

    @handlers.job
    async def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    app = Starlette(lifespan=partial(lifespan, handlers=handlers))
    app.mount("/jobs", jobs_app(authorize=allow_all, submittable=["double"]))
    with TestClient(app) as client:
        answer = client.post("/jobs/", json={"job_type": "double", "payload": {"n": 21}})
        place = answer.headers["location"]
        assert "event: end\n" in client.get(f"{place}/events").text
        assert client.get(place).json()["result"] == 42
