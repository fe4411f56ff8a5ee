"""The endpoints; FastAPI injects what they need."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, cast

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel

from stoat_jobs import AsyncJobQueue, JobBackend, JobResult, get_queue

from .scan import scan
from .settings import Settings

router = APIRouter()


def job_queue(request: Request) -> AsyncJobQueue:
    """The queue that ``lifespan`` put on the app."""
    return get_queue(request)


def get_settings(request: Request) -> Settings:
    """The settings that ``create_app`` was given."""
    return cast(Settings, request.app.state.settings)


Queue = Annotated[AsyncJobQueue, Depends(job_queue)]
AppSettings = Annotated[Settings, Depends(get_settings)]


class ScanRequest(BaseModel):
    """Which folder of the library to scan; the library itself by default."""

    folder: Path = Path()


class Accepted(BaseModel):
    """The job was accepted; ``status_url`` shows its progress."""

    job_id: str
    status_url: str


@router.post("/scans", status_code=202)
async def start_scan(
    wanted: ScanRequest, queue: Queue, settings: AppSettings, request: Request, response: Response
) -> Accepted:
    """Submit a scan and answer at once."""
    root = _inside(settings.library, wanted.folder)
    job_id = await queue.submit(scan.name, {"root": root})
    status_url = str(request.url_for("read_job", job_id=job_id))
    response.headers["Location"] = status_url
    return Accepted(job_id=job_id, status_url=status_url)


@router.get("/jobs/{job_id}")
async def read_job(job_id: str, queue: Queue) -> JobResult:
    """The job as the queue knows it now."""
    return await queue.get_result(job_id)


@router.delete("/jobs/{job_id}")
async def cancel_job(job_id: str, queue: Queue) -> dict[str, bool]:
    """Cancel a job; ``cancelled`` is false if it had already finished."""
    if not isinstance(queue, JobBackend):
        raise HTTPException(501, "this queue cannot cancel")
    return {"cancelled": await queue.cancel(job_id)}


def _inside(library: Path, folder: Path) -> Path:
    """Resolve *folder* in the *library*, links included; clients may not leave the library."""
    with suppress(OSError, RuntimeError, ValueError):  # an impossible name, or a loop of links
        root = (library / folder).resolve()
        if root.is_relative_to(library.resolve()) and root.is_dir():
            return root
    raise HTTPException(404, "the library has no such folder")
