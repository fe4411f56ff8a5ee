"""The page on uploads: the file goes in every case."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from how_to import uploads
from how_to.uploads import count_lines, create_app, handlers
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings, JobStatus

from ..support.serving import serving

STEPPED = JobQueueSettings(backend="memory", options={"autorun": False}, max_pending=2)


class Gate:
    """Stands in for the handler: it says that it runs, and goes on when it is told to."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, ctx: JobContext, upload: str) -> str:
        self.running.set()
        await self.open.wait()
        return upload


def left(app: FastAPI) -> list[Path]:
    return list(app.state.uploads.iterdir())


async def post(client: httpx.AsyncClient, body: Any = b"one\ntwo\n") -> str:
    answer = await client.post("/uploads", content=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


async def test_an_upload_that_is_counted() -> None:
    """The job reads what was sent, and the file is gone when it has ended."""
    app = create_app()
    async with serving(app) as client:
        queue = app.state.job_queue
        record = await queue.wait(await post(client))
        assert (record.status, record.result) == (JobStatus.COMPLETED, 2)
        assert left(app) == []


async def test_a_job_that_fails_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further attempt still has the file; when the last has failed it is gone."""
    seen: list[bool] = []

    def fails(ctx: JobContext, upload: str) -> None:
        seen.append((ctx.app.state.uploads / upload).exists())
        raise ValueError("no text")

    own = JobHandlers()
    own.register("count_lines", fails, retries=1)
    monkeypatch.setattr(uploads, "handlers", own)
    monkeypatch.setattr(uploads, "count_lines", own.get("count_lines"))
    app = create_app(JobQueueSettings(backend="memory"))
    async with serving(app) as client:
        record = await app.state.job_queue.get_result(await post(client))
        assert (record.status, seen) == (JobStatus.FAILED, [True, True])
        assert left(app) == []


async def test_a_job_that_is_cancelled_while_it_waits() -> None:
    """A job whose handler was never called leaves no file behind."""
    app = create_app(STEPPED)
    async with serving(app) as client:
        job_id = await post(client)
        assert len(left(app)) == 1
        assert (await client.delete(f"/jobs/{job_id}")).json() == {"cancelled": True}
        assert left(app) == []


async def test_a_job_that_is_cancelled_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is told to stop leaves no file behind."""
    gate, own = Gate(), JobHandlers()
    monkeypatch.setattr(uploads, "handlers", own)
    monkeypatch.setattr(uploads, "count_lines", own.register("count_lines", gate.__call__))
    app = create_app()
    async with serving(app) as client:
        job_id = await post(client)
        await gate.running.wait()
        assert len(left(app)) == 1
        await client.delete(f"/jobs/{job_id}")
        await app.state.job_queue.wait(job_id)
        assert left(app) == []


async def test_jobs_that_wait_at_the_stop() -> None:
    """The stop of the queue removes the files of what waits, before the folder goes."""
    app = create_app(STEPPED)
    async with serving(app) as client:
        await post(client)
        queue = app.state.job_queue
        await queue.__aexit__(None, None, None)
        assert left(app) == []
    assert not app.state.uploads.exists()


async def test_a_full_queue_before_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where enough wait already, the answer is 503 before anything of the body is read."""
    monkeypatch.setattr(uploads, "MAX_WAITING", 1)
    app = create_app(STEPPED)
    async with serving(app) as client:
        await post(client)
        before = left(app)
        status, read = await send(app, [b"never ", b"read"])
        assert (status, read) == (503, 0)
        assert left(app) == before


async def test_a_queue_that_is_full_after_the_body() -> None:
    """A queue that refuses the job after all leaves no file of it."""
    app = create_app(STEPPED)
    async with serving(app) as client:
        for _ in range(2):
            await post(client)
        before = left(app)
        answer = await client.post("/uploads", content=b"one too many")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert left(app) == before


async def test_too_long_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that says it is too long is not read."""
    monkeypatch.setattr(uploads, "MAX_BYTES", 3)
    app = create_app(STEPPED)
    async with serving(app):
        assert await send(app, [b"four"], length=4) == (413, 0)
        assert left(app) == []


async def test_too_long_without_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not say how long it is is read up to the limit and no further."""
    monkeypatch.setattr(uploads, "MAX_BYTES", 3)
    app = create_app(STEPPED)
    async with serving(app):
        assert await send(app, [b"one", b"two", b"three", b"four"]) == (413, 2)
        assert left(app) == []


async def test_a_client_that_leaves() -> None:
    """A body that breaks off leaves neither a job nor a file, and no error of the server."""
    app = create_app(STEPPED)
    async with serving(app):
        assert await send(app, [b"half of ", None]) == (400, 2)
        assert left(app) == []
        assert await app.state.job_queue.list_jobs() == []


async def send(
    app: FastAPI, chunks: list[bytes | None], length: int | None = None
) -> tuple[int, int]:
    """The status of the answer to this body, None being its break, and how much was read."""
    read, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        chunk = chunks[read]
        read += 1
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": read < len(chunks)}

    async def answer(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/uploads",
        "headers": headers,
        "query_string": b"",
        "root_path": "",
    }
    await app(scope, receive, answer)
    return status, read


async def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """The observer is not dropped for a file that something else has removed."""
    tidy = uploads.RemoveUploads(tmp_path)
    own = JobHandlers()

    @own.job("count_lines")
    async def work(ctx: JobContext) -> None: ...

    async with AsyncioJobQueue(own, observers=[tidy]) as queue:
        for name in ("missing", "there"):
            (tmp_path / "there").touch()
            await (await work.options(metadata={"upload": name}).submit(queue)).wait()
    assert list(tmp_path.iterdir()) == []


def test_count_lines_is_registered() -> None:
    """The job type that the page submits is in the registry that it starts."""
    assert handlers.get("count_lines") is count_lines
