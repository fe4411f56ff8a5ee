"""FastAPI: notify a customer's server when one of its jobs has finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI

from stoat_jobs import (
    FinishedEvent,
    JobBackend,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobResult,
    JobsError,
    get_queue,
    lifespan,
)

logger = logging.getLogger(__name__)
handlers = JobHandlers()


@handlers.job(retries=5, timeout=600)
async def deliver(ctx: JobContext, customer: str, job_id: str, status: str) -> int:
    """Notify *customer*; a response that is not 2xx fails the attempt."""
    address = ctx.app.state.addresses[customer]  # the server's own, never the request's
    answer = await ctx.app.state.client.post(
        address,
        json={"job_id": job_id, "status": status},
        headers={"webhook-id": job_id},  # the same each time: receivers drop duplicates
    )
    answer.raise_for_status()
    code: int = answer.status_code
    return code


class Webhooks(JobObserver):
    """Submits a delivery when a customer's job has finished, even if it never started."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.submissions: set[asyncio.Task[None]] = set()

    def finished(self, event: FinishedEvent) -> None:
        customer = event.record.metadata.get("customer")  # a delivery has none
        if customer is not None:  # a hook cannot await, so a task does
            submission = asyncio.create_task(
                submit_delivery(get_queue(self.app), customer, event.record)
            )
            self.submissions.add(submission)  # the event loop keeps only a weak reference
            submission.add_done_callback(self.submissions.discard)


async def submit_delivery(queue: JobBackend, customer: str, record: JobResult) -> None:
    job_id, status = record.job_id, str(record.status)
    try:
        await deliver.options(key=job_id).submit(
            queue, customer=customer, job_id=job_id, status=status
        )
    except JobsError as error:  # the queue is full or stopping
        logger.warning("webhook_lost job_id=%s status=%s: %s", job_id, status, error)


@asynccontextmanager
async def own_lifespan(
    app: FastAPI, jobs: JobHandlers, settings: JobQueueSettings | None
) -> AsyncIterator[dict[str, Any]]:
    own = JobHandlers()
    own.include(handlers)
    own.include(jobs)
    async with httpx.AsyncClient(timeout=10) as app.state.client:
        webhooks = Webhooks(app)
        async with lifespan(app, handlers=own, settings=settings, observers=[webhooks]) as state:
            yield {**state}
        await asyncio.gather(*webhooks.submissions)


def create_app(
    jobs: JobHandlers, addresses: Mapping[str, str], settings: JobQueueSettings | None = None
) -> FastAPI:
    app = FastAPI(lifespan=partial(own_lifespan, jobs=jobs, settings=settings))
    app.state.addresses = addresses
    return app
