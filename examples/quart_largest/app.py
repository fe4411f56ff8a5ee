"""Quart: find the largest files below a folder.

Run it from the folder ``examples``: ``uvicorn --factory quart_largest.app:create_app``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from pydantic import DirectoryPath
from quart import Blueprint, Quart, Response, current_app

from stoat_jobs import (
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    get_queue,
    lifespan,
)

handlers = JobHandlers()
pages = Blueprint("pages", __name__)


@handlers.job(timeout=1800)
async def largest(ctx: JobContext, root: DirectoryPath, count: int = 10) -> dict[str, int]:
    """Return the *count* largest files below *root*, with their sizes in bytes.

    Each call in a thread is short, because neither a cancel nor the process's exit ends it.
    """
    folders = await asyncio.to_thread(lambda: sorted(folder for folder, *_ in os.walk(root)))
    sizes: dict[str, int] = {}
    for done, folder in enumerate(folders, start=1):
        sizes |= await asyncio.to_thread(_sizes, Path(folder))  # a cancel is raised here
        ctx.set_progress(done / len(folders), f"{done} of {len(folders)} folders")
    return dict(sorted(sizes.items(), key=lambda size: -size[1])[:count])


def _sizes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.iterdir() if path.is_file()}


@pages.post("/searches")
async def start() -> tuple[dict[str, str], int]:
    ref = await largest.submit(get_queue(current_app), root=current_app.config["ROOT"])
    return {"job_id": ref.job_id}, 202


@pages.get("/jobs/<job_id>")
async def read(job_id: str) -> Response:
    record = await get_queue(current_app).get_result(job_id)
    return Response(record.model_dump_json(), mimetype="application/json")


@pages.delete("/jobs/<job_id>")
async def cancel(job_id: str) -> dict[str, bool]:
    return {"cancelled": await get_queue(current_app).cancel(job_id)}


@pages.errorhandler(JobNotFoundError)
async def not_found(error: JobNotFoundError) -> tuple[dict[str, str], int]:
    return {"detail": "no such job"}, 404


def create_app(root: Path = Path(), queue: JobBackend | None = None) -> Quart:
    app = Quart(__name__)
    app.config["ROOT"] = root
    app.register_blueprint(pages)

    @app.while_serving
    async def jobs() -> AsyncGenerator[None, None]:
        async with lifespan(app, queue=queue, handlers=handlers):
            yield

    return app
