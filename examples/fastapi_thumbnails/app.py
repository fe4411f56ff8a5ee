"""FastAPI with its own lifespan: make thumbnails of the app's pictures.

Run it from the folder ``examples``: ``uvicorn --factory fastapi_thumbnails.app:create_app``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse

from stoat_jobs import JobBackend, JobResult, get_queue, lifespan
from stoat_jobs.http import add_problem_handlers

from .pictures import handlers, paint, thumbnails

router = APIRouter()


@asynccontextmanager
async def own_lifespan(app: FastAPI, queue: JobBackend | None) -> AsyncIterator[dict[str, Any]]:
    """Provide a folder that outlives the queue, so that every job finds it."""
    with TemporaryDirectory() as folder:
        app.state.folder = Path(folder)
        paint(app.state.folder)
        async with lifespan(app, queue=queue, handlers=handlers) as state:
            yield {**state}


def job_queue(request: Request) -> JobBackend:
    return get_queue(request)


Queue = Annotated[JobBackend, Depends(job_queue)]


@router.post("/thumbnails", status_code=202)
async def start(queue: Queue, width: Annotated[int, Query(ge=16, le=1600)] = 160) -> dict[str, str]:
    ref = await thumbnails.submit(queue, width=width)
    return {"job_id": ref.job_id}


@router.get("/thumbnails/{number}")
async def show(number: int, request: Request) -> FileResponse:
    path = request.app.state.folder / f"small-{number}.png"
    if not path.exists():
        raise HTTPException(404, "no such thumbnail yet")
    return FileResponse(path)


@router.get("/jobs/{job_id}")
async def read(job_id: str, queue: Queue) -> JobResult:
    return await queue.get_result(job_id)


@router.delete("/jobs/{job_id}")
async def cancel(job_id: str, queue: Queue) -> dict[str, bool]:
    return {"cancelled": await queue.cancel(job_id)}


def create_app(queue: JobBackend | None = None) -> FastAPI:
    app = FastAPI(lifespan=partial(own_lifespan, queue=queue))
    app.include_router(router)
    add_problem_handlers(app)  # an unknown job is 404
    return app
