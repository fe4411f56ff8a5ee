"""The web app, put together from its dependencies."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from stoat_jobs import (
    AsyncJobQueue,
    JobNotFoundError,
    QueueClosedError,
    QueueFullError,
    lifespan,
)

from .routes import router
from .scan import handlers
from .settings import Settings


def create_app(
    job_queue: AsyncJobQueue | None = None, *, settings: Settings | None = None
) -> FastAPI:
    """The app with *job_queue*, or else with a queue built as *settings* say."""
    settings = Settings() if settings is None else settings
    to_build = settings.jobs if job_queue is None else None  # a queue that is there has its own
    app = FastAPI(
        title="Scanner",
        lifespan=partial(lifespan, queue=job_queue, handlers=handlers, settings=to_build),
    )
    app.state.settings = settings
    app.include_router(router)
    app.add_exception_handler(JobNotFoundError, _not_found)
    app.add_exception_handler(QueueFullError, _try_later)
    app.add_exception_handler(QueueClosedError, _try_later)
    return app


def _not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "no such job, or it ended long ago"}, status_code=404)


def _try_later(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503, headers={"Retry-After": "10"})
