"""No framework: count the lines of the files below a folder.

Run it from the folder ``examples``: ``uvicorn --factory asgi_lines.app:create_app``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import DirectoryPath

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobNotFoundError, get_queue, with_jobs

handlers = JobHandlers()


@handlers.job(timeout=1800)
def count_lines(ctx: JobContext, root: DirectoryPath) -> int:
    """Count the lines of all files below *root*."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    lines = 0
    for done, path in enumerate(files, start=1):
        with path.open("rb") as file:
            for _ in file:
                ctx.raise_if_cancelled()  # checked inside large files too
                lines += 1
        ctx.set_progress(done / len(files), path.name)
    return lines


class App:
    """An ASGI application without a lifespan; ``with_jobs`` handles that protocol."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        queue = get_queue(scope)
        try:
            status, body = await self.answer(queue, scope["method"], scope["path"])
        except JobNotFoundError:
            status, body = 404, json.dumps({"detail": "no such job"})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    async def answer(self, queue: JobBackend, method: str, path: str) -> tuple[int, str]:
        match method, path.strip("/").split("/"):
            case "POST", ["counts"]:
                ref = await count_lines.submit(queue, root=self.root)
                return 202, json.dumps({"job_id": ref.job_id})
            case "GET", ["jobs", job_id]:
                return 200, (await queue.get_result(job_id)).model_dump_json()
            case "DELETE", ["jobs", job_id]:
                return 200, json.dumps({"cancelled": await queue.cancel(job_id)})
        return 404, json.dumps({"detail": "no such page"})


def create_app(root: Path = Path(), queue: JobBackend | None = None) -> Any:
    return with_jobs(App(root), queue=queue, handlers=handlers)
