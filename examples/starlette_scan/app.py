"""Starlette: add up the sizes of the files below a folder.

Run it from the folder ``examples``: ``uvicorn --factory starlette_scan.app:create_app``.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from pydantic import BaseModel, DirectoryPath
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stoat_jobs import JobBackend, JobContext, JobHandlers, get_queue, lifespan
from stoat_jobs.http import add_problem_handlers

handlers = JobHandlers()


class Report(BaseModel):
    files: int = 0
    bytes_by_suffix: dict[str, int] = {}


@handlers.job(timeout=1800)
def scan(ctx: JobContext, root: DirectoryPath) -> Report:
    """Count the bytes below *root*; a cancelled scan keeps its partial result."""
    entries = sorted(root.rglob("*"))
    files, weights = 0, Counter[str]()
    for done, path in enumerate(entries, start=1):
        if ctx.cancelled:
            break
        if path.is_file():
            files += 1
            weights[path.suffix or "(none)"] += path.stat().st_size
        ctx.set_progress(done / len(entries), f"{done} of {len(entries)}")
    return Report(files=files, bytes_by_suffix=weights)


async def start(request: Request) -> JSONResponse:
    ref = await scan.submit(get_queue(request), root=request.app.state.root)
    return JSONResponse({"job_id": ref.job_id}, status_code=202)


async def read(request: Request) -> Response:
    record = await get_queue(request).get_result(request.path_params["job_id"])
    return Response(record.model_dump_json(), media_type="application/json")


async def cancel(request: Request) -> JSONResponse:
    cancelled = await get_queue(request).cancel(request.path_params["job_id"])
    return JSONResponse({"cancelled": cancelled})


ROUTES = [
    Route("/scans", start, methods=["POST"]),
    Route("/jobs/{job_id}", read, methods=["GET"]),
    Route("/jobs/{job_id}", cancel, methods=["DELETE"]),
]


def create_app(root: Path = Path(), queue: JobBackend | None = None) -> Starlette:
    app = Starlette(routes=ROUTES, lifespan=partial(lifespan, queue=queue, handlers=handlers))
    app.state.root = root
    add_problem_handlers(app)  # an unknown job is 404
    return app
