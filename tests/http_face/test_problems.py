"""What goes wrong on the server's side, as clients see it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from stoat_jobs import BackendError, JobContext
from stoat_jobs.http import HttpLimits

from ..support.mounted import BOTH_FACES, OPEN, SETTINGS, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
SECRET = "postgres://user:hunter2@db"


@BY_FACE
async def test_a_full_queue(host: Any) -> None:
    """A queue that is full is no fault of the client: 503, and when to come again."""
    settings = SETTINGS.model_copy(update={"concurrency": 1, "max_pending": 1})
    async with serving(host, settings, **OPEN) as face:
        for _ in range(2):
            await face.submit("held")
        answer = await face.post("/", json={"job_type": "held"})
        assert is_problem(answer, 503, "queue-full")
        assert answer.headers["retry-after"] == "1"


@BY_FACE
async def test_a_backend_that_breaks_down__fault_48(host: Any) -> None:
    """A backend that cannot keep a job is 503, and its reason stays on the server."""
    async with serving(host, **OPEN) as face:

        async def fails(*_: Any, **__: Any) -> str:
            raise BackendError("postgres", f"cannot reach {SECRET}")

        face.works.queue.submit = fails  # type: ignore[method-assign]
        answer = await face.post("/", json={"job_type": "held"})
        assert is_problem(answer, 503, "queue-unavailable")
        assert "hunter2" not in answer.text


@BY_FACE
async def test_a_job_type_that_nobody_serves(host: Any) -> None:
    """A job type that is named but not registered is refused; the others are not told."""
    async with serving(host, **{**OPEN, "submittable": ["misspelt"]}) as face:
        answer = await face.post("/", json={"job_type": "misspelt"})
        assert is_problem(answer, 422, "unknown-job-type")
        assert "double" not in answer.text


@BY_FACE
async def test_a_job_that_is_being_stopped(host: Any) -> None:
    """A cancel that comes while the job is stopped for its time limit is a conflict."""
    settings = SETTINGS.model_copy(update={"cancel_grace": 10.0})
    async with serving(host, settings, **OPEN) as face:
        told = asyncio.Event()

        async def slow_to_stop(ctx: JobContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                told.set()
                await face.works.gate.wait()

        face.works.handlers.register("slow_to_stop", slow_to_stop, timeout=0.01)
        place = await face.begun("slow_to_stop")
        await told.wait()
        assert is_problem(await face.post(f"{place}/cancel"), 409, "job-stopping")
        face.works.gate.set()
        assert (await face.get(f"{place}/wait")).json()["status"] == "timeout"


@BY_FACE
async def test_a_status_of_ones_own(host: Any) -> None:
    """An application may answer with a status that has no name."""

    async def busy(*_: Any) -> bool:
        raise HTTPException(420, "enhance your calm")

    async with serving(host, authorize=busy) as face:
        answer = await face.get(await face.begun("held"))
        assert (answer.status_code, answer.json()["title"]) == (420, "420")


@BY_FACE
async def test_a_fault_of_the_application_is_its_own(host: Any) -> None:
    """What the application's own function raises reaches its error handling, as from a route."""

    async def broken(request: Request) -> dict[str, str]:
        raise KeyError("user")

    async with serving(host, **OPEN, metadata=broken) as face:
        with pytest.raises(KeyError, match="user"):
            await face.post("/", json={"job_type": "held"})


@BY_FACE
async def test_a_stream_that_cannot_begin(host: Any) -> None:
    """What is wrong before a stream begins reaches the application, and takes no place."""
    async with serving(host, **OPEN, limits=HttpLimits(max_open=1)) as face:
        place = await face.begun("held")

        class Broken:
            async def __anext__(self) -> Any:
                raise ValueError("no records")

        queue: Any = face.works.queue
        watch, queue.watch = queue.watch, lambda job_id: Broken()
        for _ in range(2):
            with pytest.raises(ValueError, match="no records"):
                await face.get(f"{place}/events")
        queue.watch = watch
        face.works.gate.set()
        assert "event: end" in (await face.get(f"{place}/events")).text
