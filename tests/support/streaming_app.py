"""The app that a real server runs in a process of its own; nothing but the server imports it."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette

from stoat_jobs import JobQueueSettings, lifespan
from stoat_jobs.http import allow_all, jobs_app

from .resisting import handlers

settings = JobQueueSettings(drain_timeout=0.2, cancel_grace=0.2)
app = Starlette(lifespan=partial(lifespan, handlers=handlers, settings=settings))
app.mount("/jobs", jobs_app(authorize=allow_all, submittable=["patient"]))
