"""A job sees what was committed before it was submitted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request

from stoat_jobs import JobHandlers, get_queue

from ..support import notes
from ..support.serving import app_of, serving

router = APIRouter()
handlers = JobHandlers()

read = handlers.register("read", notes.read_in_job)


async def _write_and_read(request: Request, *, commit_first: bool) -> str:
    with closing(notes.connect(request.app.state.database)) as connection:
        row = connection.execute("INSERT INTO notes (text) VALUES ('bread') RETURNING id")
        (note_id,) = row.fetchone()
        if commit_first:
            connection.commit()
        found = await (await read.submit(get_queue(request), note_id=note_id)).value()
        connection.commit()
    return found


@router.post("/submit-first")
async def submit_first(request: Request) -> str:
    return await _write_and_read(request, commit_first=False)


@router.post("/commit-first")
async def commit_first(request: Request) -> str:
    return await _write_and_read(request, commit_first=True)


@pytest.fixture
def app(database: Path) -> FastAPI:
    app = app_of(router, handlers)
    app.state.database = database
    return app


async def test_row_is_there_once_it_is_committed(app: FastAPI) -> None:
    """A job submitted before the commit may not find its row; one submitted after it does."""
    async with serving(app) as client:
        assert (await client.post("/submit-first")).json() == "no such note"
        assert (await client.post("/commit-first")).json() == "bread"
