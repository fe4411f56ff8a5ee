"""FastAPI: checksums of the files below a folder.

Run it from the folder ``examples``: ``uvicorn --factory fastapi_checksum.app:create_app``.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import DirectoryPath

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobResult, get_queue, lifespan
from stoat_jobs.http import add_problem_handlers

handlers = JobHandlers()
router = APIRouter()


@handlers.job(timeout=1800)
def checksum(ctx: JobContext, root: DirectoryPath, suffix: str = "") -> dict[str, str]:
    """SHA-256 of every file below *root* whose name ends with *suffix*."""
    files = sorted(
        path for path in root.rglob("*") if path.name.endswith(suffix) and path.is_file()
    )
    sums = {}
    for done, path in enumerate(files, start=1):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                ctx.raise_if_cancelled()  # checked inside large files too
                digest.update(chunk)
        sums[str(path.relative_to(root))] = digest.hexdigest()
        ctx.set_progress(done / len(files), path.name)
    return sums


def job_queue(request: Request) -> JobBackend:
    return get_queue(request)


Queue = Annotated[JobBackend, Depends(job_queue)]


@router.post("/checksums", status_code=202)
async def start(queue: Queue, request: Request, suffix: str = "") -> dict[str, str]:
    ref = await checksum.submit(queue, root=request.app.state.root, suffix=suffix)
    return {"job_id": ref.job_id}


@router.get("/jobs/{job_id}")
async def read(job_id: str, queue: Queue) -> JobResult:
    return await queue.get_result(job_id)


@router.delete("/jobs/{job_id}")
async def cancel(job_id: str, queue: Queue) -> dict[str, bool]:
    return {"cancelled": await queue.cancel(job_id)}


def create_app(root: Path = Path(), queue: JobBackend | None = None) -> FastAPI:
    app = FastAPI(lifespan=partial(lifespan, queue=queue, handlers=handlers))
    app.state.root = root
    app.include_router(router)
    add_problem_handlers(app)  # an unknown job is 404
    return app
