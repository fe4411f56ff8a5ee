"""FastAPI: send a job's changes over a WebSocket, and stop when the client disconnects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import anyio
from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect

from stoat_jobs import JobBackend, JobHandlers, JobResult, lifespan
from stoat_jobs.http import JobQueueDep, add_problem_handlers

handlers = JobHandlers()
router = APIRouter()


@router.websocket("/jobs/{job_id}/changes")
async def changes(websocket: WebSocket, job_id: str, queue: JobQueueDep) -> None:
    """Send the job's record now and each time it changes."""
    await queue.get_result(job_id)  # an unknown job is refused before accept
    await websocket.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_when_gone, websocket, tasks.cancel_scope)
        with suppress(WebSocketDisconnect):  # the client disconnected during a send
            await send_changes(websocket, queue.watch(job_id))
        tasks.cancel_scope.cancel()


async def cancel_when_gone(websocket: WebSocket, scope: anyio.CancelScope) -> None:
    """Cancel *scope* when the client has disconnected, which only receiving shows."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()


async def send_changes(websocket: WebSocket, records: AsyncIterator[JobResult]) -> None:
    async for record in records:  # a slow client may miss some, but never the last
        await websocket.send_text(record.model_dump_json(exclude={"error"}))
    await websocket.close()


def create_app(queue: JobBackend | None = None) -> FastAPI:
    app = FastAPI(lifespan=partial(lifespan, queue=queue, handlers=handlers))
    app.include_router(router)
    add_problem_handlers(app)
    return app
