"""Litestar: find the files below a folder that have the same content.

Run it from the folder ``examples``: ``uvicorn --factory litestar_duplicates.app:create_app``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath
from pydantic import DirectoryPath

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobNotFoundError, JobResult, lifespan

handlers = JobHandlers()


@handlers.job(timeout=1800)
def find_duplicates(ctx: JobContext, root: DirectoryPath) -> list[list[str]]:
    """Return the names of identical files below *root*, in groups."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    same: defaultdict[str, list[str]] = defaultdict(list)
    for done, path in enumerate(files, start=1):
        ctx.raise_if_cancelled()
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        same[digest].append(str(path.relative_to(root)))
        ctx.set_progress(done / len(files), path.name)
    return [names for names in same.values() if len(names) > 1]


@post("/searches", status_code=202)
async def start(state: State) -> dict[str, str]:
    ref = await find_duplicates.submit(state.job_queue, root=state.root)
    return {"job_id": ref.job_id}


@get("/jobs/{job_id:str}")
async def read(state: State, job_id: FromPath[str]) -> JobResult:
    queue: JobBackend = state.job_queue
    return await queue.get_result(job_id)


@delete("/jobs/{job_id:str}", status_code=200)
async def cancel(state: State, job_id: FromPath[str]) -> dict[str, bool]:
    return {"cancelled": await state.job_queue.cancel(job_id)}


def not_found(request: Request[Any, Any, Any], error: JobNotFoundError) -> Response[Any]:
    return Response({"detail": "no such job"}, status_code=404)


def create_app(root: Path = Path(), queue: JobBackend | None = None) -> Litestar:
    return Litestar(
        [start, read, cancel],
        lifespan=[partial(lifespan, queue=queue, handlers=handlers)],
        exception_handlers={JobNotFoundError: not_found},
        state=State({"root": root}),
    )
