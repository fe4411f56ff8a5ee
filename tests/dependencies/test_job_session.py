"""A session that a handler opens ends with its job, however that ends."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, JobStatus, get_queue, lifespan

from ..support import SAFETY_NET, notes
from ..support.serving import app_of, ended, serving
from .conftest import Sessions

handlers = JobHandlers()


@handlers.job
def write(ctx: JobContext) -> None:
    """Adds a note that is kept only if it ends well."""
    with closing(notes.connect(ctx.app.state.database)) as connection, connection:
        connection.execute("INSERT INTO notes (text) VALUES ('bread')")
        ctx.from_thread(_halfway, ctx.app)
        ctx.raise_if_cancelled()
        if ctx.app.state.to_fail:
            raise ZeroDivisionError


@handlers.job
async def write_async(ctx: JobContext) -> None:
    """The same with SQLAlchemy."""
    async with ctx.app.state.sessions.begin() as session:
        session.add(notes.Note(text="bread"))
        await session.flush()
        await _halfway(ctx.app)
        if ctx.app.state.to_fail:
            raise ZeroDivisionError


async def _halfway(app: FastAPI) -> None:
    app.state.written.set()
    await app.state.go_on.wait()


@handlers.job(retries=1)
async def write_at_second_attempt(ctx: JobContext) -> int:
    async with ctx.app.state.sessions.begin() as session:
        ctx.app.state.used.append(session)
        session.add(notes.Note(text=f"attempt {ctx.attempt}"))
        await session.flush()
        if ctx.attempt == 0:
            raise ZeroDivisionError
    return ctx.attempt


@pytest.fixture
def app(database: Path, sessions: Sessions) -> FastAPI:
    app = app_of(APIRouter(), handlers)
    app.state.database, app.state.sessions = database, sessions
    app.state.written, app.state.to_fail = asyncio.Event(), False
    return app


def _notes(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]


def _connections_out(engine: AsyncEngine) -> int:
    return cast(QueuePool, engine.pool).checkedout()


async def _end(app: FastAPI, job_type: str, how: JobStatus) -> JobStatus:
    """Let a job of this type end in this way, once it has written its note."""
    queue = get_queue(app)
    job_id = await queue.submit(job_type, {})
    await asyncio.wait_for(app.state.written.wait(), SAFETY_NET)
    if how is JobStatus.CANCELLED:
        assert await queue.cancel(job_id)
    app.state.to_fail = how is JobStatus.FAILED
    app.state.go_on.set()
    return (await ended(app, job_id)).status


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        (JobStatus.COMPLETED, ["milk", "bread"]),
        (JobStatus.FAILED, ["milk"]),
        (JobStatus.CANCELLED, ["milk"]),
    ],
)
@pytest.mark.parametrize("job_type", ["write", "write_async"])
async def test_session_ends_with_its_job(
    app: FastAPI, engine: AsyncEngine, job_type: str, how: JobStatus, kept: list[str]
) -> None:
    """What a job wrote is kept if it completes, and its connection is given back in any case."""
    async with serving(app):
        assert await _end(app, job_type, how) is how
        assert _connections_out(engine) == 0
    assert _notes(app.state.database) == kept


async def test_each_attempt_has_its_own_session(database: Path, sessions: Sessions) -> None:
    """A second attempt finds nothing of the first one's session."""
    app = SimpleNamespace(state=SimpleNamespace(sessions=sessions, used=[]))
    async with lifespan(app, queue=InMemoryJobQueue(handlers)):
        record = await (await write_at_second_attempt.submit(get_queue(app))).wait()
    assert (record.status, record.result) == (JobStatus.COMPLETED, 1)
    first, second = app.state.used
    assert first is not second
    assert _notes(database) == ["milk", "attempt 1"]
