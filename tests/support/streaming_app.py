"""The app that a real server runs in a process of its own; nothing but the server imports it."""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.applications import Starlette

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, lifespan
from stoat_jobs.http import allow_all, jobs_app

handlers = JobHandlers()


@handlers.job
async def patient(ctx: JobContext) -> None:
    """Waits until it is told to stop, and stops."""
    await asyncio.Event().wait()


settings = JobQueueSettings(drain_timeout=0.2, cancel_grace=0.2)
app = Starlette(lifespan=partial(lifespan, handlers=handlers, settings=settings))
app.mount("/jobs", jobs_app(authorize=allow_all, submittable=["patient"]))
