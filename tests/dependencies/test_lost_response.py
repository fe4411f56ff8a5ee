"""A job runs although the response of its request fails."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel

from stoat_jobs import JobContext, JobHandlers, JobStatus, get_queue

from ..support.serving import app_of, ended, serving

router = APIRouter()
handlers = JobHandlers()


class Receipt(BaseModel):
    number: int


@handlers.job
async def send_mail(ctx: JobContext, to: str) -> str:
    return f"sent to {to}"


async def _begin_both(request: Request, background: BackgroundTasks) -> None:
    """Leave the same work to a background task and to a job."""
    background.add_task(request.app.state.background_task_ran.append, "ada")
    ref = await send_mail.submit(get_queue(request), to="ada")
    request.app.state.job_id = ref.job_id


@router.post("/fine")
async def fine(request: Request, background: BackgroundTasks) -> Receipt:
    await _begin_both(request, background)
    return Receipt(number=1)


@router.post("/refused")
async def refused(request: Request, background: BackgroundTasks) -> Receipt:
    await _begin_both(request, background)
    raise HTTPException(409, "too late")


@router.post("/broken")
async def broken(request: Request, background: BackgroundTasks) -> Receipt:
    await _begin_both(request, background)
    raise ZeroDivisionError


@router.post("/not-the-model", response_model=Receipt)
async def not_the_model(request: Request, background: BackgroundTasks) -> Any:
    await _begin_both(request, background)
    return {"number": "none"}


@pytest.fixture
def app() -> FastAPI:
    app = app_of(router, handlers)
    app.state.background_task_ran = []
    return app


async def test_background_task_runs_after_a_good_response(app: FastAPI) -> None:
    """The endpoints of this module do begin both: where the response is good, both run."""
    async with serving(app) as client:
        assert (await client.post("/fine")).status_code == 200
        assert app.state.background_task_ran == ["ada"]
        assert (await ended(app, app.state.job_id)).result == "sent to ada"


async def test_endpoint_that_raises_http_exception_keeps_its_job(app: FastAPI) -> None:
    """An endpoint that answers with an error loses its background task, not its job."""
    async with serving(app) as client:
        assert (await client.post("/refused")).status_code == 409
        await _check_job_alone_ran(app)


@pytest.mark.parametrize(
    ("path", "error"),
    [("/broken", ZeroDivisionError), ("/not-the-model", ResponseValidationError)],
)
async def test_endpoint_that_breaks_keeps_its_job(
    app: FastAPI, path: str, error: type[Exception]
) -> None:
    """An endpoint that crashes, or returns no such model, loses its background task, not its job."""
    async with serving(app) as client:
        with pytest.raises(error):
            await client.post(path)
        await _check_job_alone_ran(app)


async def _check_job_alone_ran(app: FastAPI) -> None:
    record = await ended(app, app.state.job_id)
    assert (record.status, record.result) == (JobStatus.COMPLETED, "sent to ada")
    assert app.state.background_task_ran == []
