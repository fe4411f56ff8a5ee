"""A program that has Sentry report to nobody, and prints what it would have sent.

In a process of its own: Sentry changes logging, threads and frameworks for good.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sentry_sdk.transport import Transport

from how_to.sentry import ReportTimeouts, start_sentry
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings

handlers = JobHandlers()


class Kept(Transport):
    sent: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.sent.append(envelope.get_event())


@handlers.job(retries=1)
async def fails(ctx: JobContext, secret: str) -> None:
    raise ValueError("no such picture")


@handlers.job
def fails_in_thread(ctx: JobContext, secret: str) -> None:
    raise ValueError("no such picture")


@handlers.job(timeout=0.01)
async def slow(ctx: JobContext) -> None:
    await asyncio.Event().wait()


@handlers.job
async def fine(ctx: JobContext) -> None: ...


async def main() -> None:
    settings = JobQueueSettings(concurrency=1)
    async with AsyncioJobQueue(handlers, settings, [ReportTimeouts()]) as queue:
        for name, payload in [
            ("fails", {"secret": "hunter2"}),
            ("fails_in_thread", {"secret": "hunter2"}),
            ("slow", {}),
            ("fine", {}),
        ]:
            job_id = await queue.submit(name, payload)
            await queue.wait(job_id)
            events, Kept.sent[:] = list(Kept.sent), []
            print(json.dumps({"job_id": job_id, "job_type": name, "events": events}, default=str))


start_sentry("https://key@sentry.example/1", transport=Kept())
asyncio.run(main())
