"""The fixtures in plain tests, with a client that runs the application in a loop of its own."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, get_queue, lifespan

handlers = JobHandlers()


@handlers.job
def double(ctx: JobContext, n: int) -> int:
    return 2 * n


@pytest.fixture
def job_handlers() -> JobHandlers:
    return handlers


async def submit(request: Request) -> JSONResponse:
    ref = await double.submit(get_queue(request), n=int(request.query_params["n"]))
    return JSONResponse({"job_id": ref.job_id})


async def read(request: Request) -> JSONResponse:
    record = await get_queue(request).get_result(request.path_params["job_id"])
    return JSONResponse({"status": record.status, "result": record.result})


def client_of(queue: InMemoryJobQueue) -> TestClient:
    routes = [Route("/jobs", submit, methods=["POST"]), Route("/jobs/{job_id}", read)]
    return TestClient(Starlette(routes=routes, lifespan=partial(lifespan, queue=queue)))


def test_a_job_has_ended(job_queue: InMemoryJobQueue) -> None:
    with client_of(job_queue) as client:
        job_id = client.post("/jobs?n=21").json()["job_id"]
        assert client.get(f"/jobs/{job_id}").json() == {"status": "completed", "result": 42}


def test_a_job_waits(stepped_job_queue: InMemoryJobQueue) -> None:
    with client_of(stepped_job_queue) as client:
        job_id = client.post("/jobs?n=21").json()["job_id"]
        assert client.get(f"/jobs/{job_id}").json() == {"status": "pending", "result": None}
        assert client.portal is not None
        client.portal.call(stepped_job_queue.run_next)
        assert client.get(f"/jobs/{job_id}").json() == {"status": "completed", "result": 42}


def test_no_client(job_queue: InMemoryJobQueue) -> None:
    async def main() -> int:
        return await (await double.submit(job_queue, n=1)).value()

    assert asyncio.run(main()) == 2


def test_both_have_the_handlers(
    job_handlers: JobHandlers, job_queue: InMemoryJobQueue, stepped_job_queue: InMemoryJobQueue
) -> None:
    assert job_queue is not stepped_job_queue
    assert job_queue.handlers is stepped_job_queue.handlers is job_handlers is handlers
