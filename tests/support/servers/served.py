"""The apps that the tests have a real server run; this file is imported by the server alone."""

from __future__ import annotations

import asyncio
import json
import logging.config
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.support.resisting import handlers

from stoat_jobs import (
    AsyncioJobQueue,
    BackendError,
    JobNotFoundError,
    JobQueueSettings,
    lifespan,
)

# Some servers set up the log later than they start the app.
logging.config.dictConfig(json.loads(Path(__file__).with_name("log_config.json").read_text()))

logger = logging.getLogger("served")
settings = JobQueueSettings.model_validate_json(os.environ.get("SERVED_SETTINGS", "{}"))


async def submit(request: Request) -> Response:
    job_id = await request.state.job_queue.submit(request.path_params["job_type"])
    return _text(job_id, 202)


async def status(request: Request) -> Response:
    try:
        return _text(await request.app.state.job_queue.get_status(request.path_params["job_id"]))
    except JobNotFoundError as error:
        return _text(str(error), 404)


async def wait(request: Request) -> Response:
    logger.info("request_held")
    record = await request.app.state.job_queue.wait(request.path_params["job_id"])
    return _text(record.status)


async def hello(request: Request) -> Response:
    return _text("hello")


def _text(text: str, status_code: int = 200) -> Response:
    return PlainTextResponse(text, status_code, headers={"x-process": str(os.getpid())})


@asynccontextmanager
async def watching_signals(app: Any) -> AsyncIterator[dict[str, Any]]:
    """The app's lifespan is ours; the log says whether it left the signals alone."""
    before = _signals()
    async with lifespan(app, handlers=handlers, settings=settings) as state:
        started = _signals()
        yield {**state}
        leaving = _signals()  # what the server does to them in between is its own affair
    untouched = before == started and leaving == _signals()
    logger.info("signals_untouched" if untouched else "signals_touched")


def _signals() -> list[Any]:
    """Everything that decides what a signal does."""
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    of_loop = dict(getattr(asyncio.get_running_loop(), "_signal_handlers", {}))
    return [wakeup, of_loop, *map(signal.getsignal, sorted(signal.valid_signals()))]


class UnreachableQueue(AsyncioJobQueue):
    """As a backend is whose database is down."""

    async def __aenter__(self) -> Self:
        raise BackendError("durable", "cannot start: connection refused")


routes = [
    Route("/", hello),
    Route("/submit/{job_type}", submit, methods=["POST"]),
    Route("/jobs/{job_id}", status),
    Route("/wait/{job_id}", wait),
]
with_queue = Starlette(lifespan=watching_signals, routes=routes)
without_queue = Starlette(routes=routes)
unknown_backend = Starlette(lifespan=partial(lifespan, settings=JobQueueSettings(backend="abacus")))
unreachable_backend = Starlette(lifespan=partial(lifespan, queue=UnreachableQueue(handlers)))
