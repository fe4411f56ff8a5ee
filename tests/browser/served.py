"""The app that the browser looks at; nothing but the server imports it."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, get_queue, lifespan
from stoat_jobs.http import AccessRequest, HttpLimits, allow_all, jobs_app

# Whatever a field of a record may say, nothing of it is to run.
EVIL = "<img src=x onerror=\"window.ran = 'yes'\"><script>window.ran = 'yes'</script>"

handlers = JobHandlers()
steps = asyncio.Queue[None]()


@handlers.job(timeout=math.inf)
async def scan(ctx: JobContext, files: int = 4) -> dict[str, int]:
    """Goes on by one file each time that it is told to."""
    for file in range(files):
        ctx.set_progress(file / files, f"{file} of {files} files")
        await steps.get()
    return {"files": files}


@handlers.job
async def failing(ctx: JobContext) -> None:
    raise PermissionError("the folder is locked")


@handlers.job(timeout=math.inf)
async def endless(ctx: JobContext, message: str = "going on") -> None:
    ctx.set_progress(0.25, message)
    await asyncio.Event().wait()


@handlers.job
async def quick(ctx: JobContext, n: int = 0) -> dict[str, int]:
    return {"n": n}


@handlers.job(EVIL)
async def evil(ctx: JobContext) -> dict[str, Any]:
    ctx.set_progress(0.5, EVIL)
    return {EVIL: [EVIL, {EVIL: EVIL}], "big": 2**63 + 1, "deep": [[[[[[1]]]]]]}


@handlers.job(f"fail {EVIL}")
async def evil_end(ctx: JobContext) -> None:
    raise type(EVIL, (Exception,), {})(EVIL)


@handlers.job(timeout=math.inf)
async def busy(ctx: JobContext, pause: float) -> None:
    """Something new at each turn."""
    turn = 0
    while True:
        turn += 1
        ctx.set_progress(turn % 100 / 100, f"turn {turn}")
        await asyncio.sleep(pause)


async def metadata(request: Request) -> dict[str, str]:
    return {"user": request.headers.get("user", "ada"), EVIL: EVIL}


async def step(request: Request) -> Response:
    """Let a scan go on."""
    steps.put_nowait(None)
    return Response(status_code=204)


async def many(request: Request) -> Response:
    """Five thousand finished jobs, and ten that change ten times a second each."""
    queue = get_queue(request)
    ids = [await queue.submit("quick", {"n": n}) for n in range(5_000)]
    for job_id in ids:
        await queue.wait(job_id)
    for _ in range(10):
        await queue.submit("busy", {"pause": 0.1})
    return Response(status_code=204)


async def only_adas(access: AccessRequest) -> dict[str, str]:
    """Who looks there may see what is Ada's."""
    return {"user": "ada"}


settings = JobQueueSettings(concurrency=100, drain_timeout=0, cancel_grace=0.2)
app = Starlette(lifespan=partial(lifespan, handlers=handlers, settings=settings))
app.add_route("/step", step, methods=["POST"])
app.add_route("/many", many, methods=["POST"])
app.mount(
    "/jobs",
    jobs_app(
        authorize=allow_all,
        submittable=[job_type.name for job_type in handlers],
        metadata=metadata,
        expose_errors=True,
    ),
    name="jobs",
)
app.mount("/mine", jobs_app(authorize=only_adas, limits=HttpLimits(max_watched=2)), name="mine")
