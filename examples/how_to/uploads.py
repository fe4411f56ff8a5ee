"""FastAPI: keep an upload in a file until its job has finished, whatever the outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import anyio
from fastapi import APIRouter, FastAPI, HTTPException, Request
from starlette.requests import ClientDisconnect

from stoat_jobs import (
    FinishedEvent,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    QueueFullError,
    get_queue,
    lifespan,
)
from stoat_jobs.http import JobQueueDep, add_problem_handlers

MAX_BYTES = 100_000_000
MAX_WAITING = 20

handlers = JobHandlers()
router = APIRouter()


@handlers.job(retries=1)
def count_lines(ctx: JobContext, upload: str) -> int:
    """Count the lines of an upload; keep the file for another attempt."""
    lines = 0
    with (ctx.app.state.uploads / upload).open("rb") as file:
        for _ in file:
            ctx.raise_if_cancelled()
            lines += 1
    return lines


class RemoveUploads(JobObserver):
    """Removes an upload when its job has finished, even if the job never started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def finished(self, event: FinishedEvent) -> None:
        upload = event.record.metadata.get("upload")
        if upload is not None:
            with suppress(OSError):  # an observer that raises is dropped
                (self.folder / upload).unlink()


@router.post("/uploads", status_code=202)
async def upload(request: Request, queue: JobQueueDep) -> dict[str, str]:
    """Save the request's body as a file, and submit its job."""
    if int(request.headers.get("content-length", 0)) > MAX_BYTES:
        raise HTTPException(413, f"at most {MAX_BYTES} bytes")
    if (await queue.stats()).by_status[JobStatus.PENDING] >= MAX_WAITING:
        raise QueueFullError(MAX_WAITING)  # before the body is read, not after
    path = request.app.state.uploads / uuid4().hex
    try:
        await save(request, path)
        submission = count_lines.options(metadata={"upload": path.name})
        ref = await submission.submit(queue, upload=path.name)
    except BaseException:  # there is no job: too long, disconnected, or refused by the queue
        path.unlink(missing_ok=True)
        raise
    return {"job_id": ref.job_id}


async def save(request: Request, path: Path) -> None:
    """Write the body to *path* as it arrives, up to the allowed size."""
    size = 0
    async with await anyio.open_file(path, "xb") as file:
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BYTES:
                    raise HTTPException(413, f"at most {MAX_BYTES} bytes")
                await file.write(chunk)
        except ClientDisconnect:  # nobody gets the response, but it avoids a traceback in the log
            raise HTTPException(400, "the upload is not complete") from None


@router.delete("/jobs/{job_id}")
async def cancel(job_id: str, request: Request) -> dict[str, bool]:
    return {"cancelled": await get_queue(request).cancel(job_id)}


@asynccontextmanager
async def own_lifespan(
    app: FastAPI, settings: JobQueueSettings | None
) -> AsyncIterator[dict[str, Any]]:
    """Provide a folder that outlives the queue and is removed at the end with its contents."""
    with TemporaryDirectory(prefix="uploads-") as folder:
        app.state.uploads = Path(folder)
        tidy = RemoveUploads(app.state.uploads)
        async with lifespan(app, handlers=handlers, settings=settings, observers=[tidy]) as state:
            yield {**state}


def create_app(settings: JobQueueSettings | None = None) -> FastAPI:
    app = FastAPI(lifespan=partial(own_lifespan, settings=settings))
    app.include_router(router)
    add_problem_handlers(app)  # a full queue is 503
    return app
