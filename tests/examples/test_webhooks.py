"""The page on webhooks: the receiver hears of every end, and can tell repetitions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from how_to import webhooks
from how_to.webhooks import create_app, deliver
from stoat_jobs import (
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobResult,
    JobStatus,
)

from ..support import SAFETY_NET

MEMORY = JobQueueSettings(backend="memory")
STEPPED = JobQueueSettings(backend="memory", options={"autorun": False})


class Receiver:
    """The customer's server, which answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.addresses: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.addresses.add(str(request.url))
        self.heard.append((request.headers["webhook-id"], json.loads(request.content)))
        headers = {"location": "https://elsewhere.example/"}
        return httpx.Response(self.answers.pop(0) if self.answers else 204, headers=headers)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    client = partial(httpx.AsyncClient, transport=httpx.MockTransport(receiver))
    monkeypatch.setattr(httpx, "AsyncClient", client)
    yield receiver
    assert receiver.addresses <= {"https://ada.example/hook"}


jobs = JobHandlers()


@jobs.job
async def work(ctx: JobContext, fails: bool = False) -> None:
    if fails:
        raise ValueError("no")


def app_with(settings: JobQueueSettings) -> FastAPI:
    return create_app(jobs, {"ada": "https://ada.example/hook"}, settings)


async def submit(queue: JobBackend, fails: bool = False) -> str:
    ref = await work.options(metadata={"customer": "ada"}).submit(queue, fails=fails)
    return ref.job_id


async def deliveries(queue: JobBackend) -> list[str]:
    """The ids of what the observer has had submitted, once it has."""

    async def submitted() -> list[str]:
        while not (found := await queue.list_jobs(job_type="deliver")):
            await asyncio.sleep(0)
        return [delivery.job_id for delivery in found]

    return await asyncio.wait_for(submitted(), SAFETY_NET)


@pytest.mark.parametrize(("fails", "status"), [(False, "completed"), (True, "failed")])
async def test_a_job_that_has_ended(receiver: Receiver, fails: bool, status: str) -> None:
    """The receiver is told how the job ended, whichever way that was."""
    app = app_with(MEMORY)
    async with LifespanManager(app):
        job_id = await submit(app.state.job_queue, fails=fails)
        [delivery_id] = await deliveries(app.state.job_queue)
        delivery = await app.state.job_queue.wait(delivery_id)
    assert (delivery.status, delivery.result) == (JobStatus.COMPLETED, 204)
    assert receiver.heard == [(job_id, {"job_id": job_id, "status": status})]


async def test_a_job_that_never_started(receiver: Receiver) -> None:
    """The receiver is told of a job that was cancelled while it waited."""
    app = app_with(STEPPED)
    async with LifespanManager(app):
        queue = app.state.job_queue
        job_id = await submit(queue)
        await queue.cancel(job_id)
        assert len(await deliveries(queue)) == 1
        await queue.run_next()
    assert receiver.heard == [(job_id, {"job_id": job_id, "status": "cancelled"})]


async def test_a_receiver_that_is_down(receiver: Receiver) -> None:
    """A delivery that fails is tried again, with the same id, so that repetitions can be told."""
    receiver.answers = [503, 500, 200]
    app = app_with(MEMORY)
    async with LifespanManager(app):
        job_id = await submit(app.state.job_queue)
        [delivery_id] = await deliveries(app.state.job_queue)
        delivery = await app.state.job_queue.wait(delivery_id)
    assert (delivery.attempt, delivery.result) == (2, 200)
    assert [webhook_id for webhook_id, _ in receiver.heard] == [job_id] * 3


async def test_a_job_of_nobody(receiver: Receiver) -> None:
    """A job without a customer tells nobody, and a delivery is not reported itself."""
    app = app_with(MEMORY)
    async with LifespanManager(app):
        await work.submit(app.state.job_queue)
        await submit(app.state.job_queue)
        await deliveries(app.state.job_queue)
        for _ in range(20):  # what else would be submitted has its turn
            await asyncio.sleep(0)
        assert len(await deliveries(app.state.job_queue)) == 1


async def test_a_receiver_that_sends_elsewhere(receiver: Receiver) -> None:
    """A redirect is no delivery, and is not followed."""
    receiver.answers = [307]
    app = app_with(MEMORY)
    async with LifespanManager(app):
        await submit(app.state.job_queue)
        [delivery_id] = await deliveries(app.state.job_queue)
        assert (await app.state.job_queue.wait(delivery_id)).attempt == 1


async def test_the_stop_waits_for_what_is_being_submitted(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue may take a while to accept a delivery: no submission is cut off by the end."""
    submitted: list[str] = []

    async def slow(queue: JobBackend, customer: str, record: JobResult[Any]) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        submitted.append(record.job_id)

    monkeypatch.setattr(webhooks, "submit_delivery", slow)
    app = app_with(STEPPED)
    async with LifespanManager(app):
        job_id = await submit(app.state.job_queue)
    assert submitted == [job_id]


async def test_one_delivery_for_one_end(receiver: Receiver) -> None:
    """Submitted twice while it waits, it is one delivery."""
    app = app_with(STEPPED)
    async with LifespanManager(app):
        queue = app.state.job_queue
        record = await queue.get_result(await submit(queue))
        for _ in range(2):
            await webhooks.submit_delivery(queue, "ada", record)
        assert len(await deliveries(queue)) == 1
    assert deliver.name == "deliver"


async def test_the_stop_of_the_server(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be delivered any more is in the log, by its job's id."""
    app = app_with(STEPPED)
    async with LifespanManager(app):
        job_id = await submit(app.state.job_queue)
    lost = [each.getMessage() for each in caplog.records if "webhook_lost" in each.getMessage()]
    assert len(lost) == 1
    assert f"job_id={job_id} status=cancelled" in lost[0]
    assert receiver.heard == []
