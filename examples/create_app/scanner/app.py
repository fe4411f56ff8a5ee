"""Build the web app from its dependencies."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from stoat_jobs import AsyncJobQueue, lifespan
from stoat_jobs.http import add_problem_handlers

from .routes import router
from .scan import handlers
from .settings import Settings


def create_app(
    job_queue: AsyncJobQueue | None = None, *, settings: Settings | None = None
) -> FastAPI:
    """Build the app with *job_queue*, or with a queue that *settings* describe."""
    settings = Settings() if settings is None else settings
    to_build = settings.jobs if job_queue is None else None  # a given queue has its own
    app = FastAPI(
        title="Scanner",
        lifespan=partial(lifespan, queue=job_queue, handlers=handlers, settings=to_build),
    )
    app.state.settings = settings
    app.include_router(router)
    add_problem_handlers(app)  # an unknown job is 404, a full queue 503
    return app
