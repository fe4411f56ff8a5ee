"""What a request has opened is closed before its job runs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import QueuePool

from stoat_jobs import (
    InMemoryJobQueue,
    InvalidPayloadError,
    JobContext,
    JobHandlers,
    JobStatus,
    get_queue,
)

from ..support import notes
from ..support.serving import app_of, ended, serving
from .conftest import Sessions

router = APIRouter()
handlers = JobHandlers()

read_with_its_own = handlers.register("read_with_its_own", notes.read_in_job)
read_with_its_own_async = handlers.register("read_with_its_own_async", notes.read_in_async_job)


def open_connection(request: Request) -> Iterator[sqlite3.Connection]:
    connection = notes.connect(request.app.state.database)
    request.app.state.left_behind = connection
    try:
        yield connection
    finally:
        connection.close()
        request.app.state.log.append("closed")


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        request.app.state.left_behind = session
        yield session


UntilAnswered = Annotated[sqlite3.Connection, Depends(open_connection)]
UntilReturned = Annotated[sqlite3.Connection, Depends(open_connection, scope="function")]
Session = Annotated[AsyncSession, Depends(open_session)]


@handlers.job
async def read_with_the_requests(ctx: JobContext, note_id: int) -> str:
    """Uses the connection of the request, which no payload can carry."""
    await ctx.app.state.go_on.wait()
    ctx.app.state.log.append("job")
    return notes.read(ctx.app.state.left_behind, note_id)


@handlers.job
async def read_with_the_requests_session(ctx: JobContext, note_id: int) -> str:
    await ctx.app.state.go_on.wait()
    return await notes.read_async(ctx.app.state.left_behind, note_id)


async def _read_later(request: Request) -> dict[str, str]:
    queue = get_queue(request)
    borrowing = await read_with_the_requests.submit(queue, note_id=1)
    opening = await read_with_its_own.submit(queue, note_id=1)
    return {"borrowing": borrowing.job_id, "opening": opening.job_id}


@router.post("/until-answered")
async def until_answered(request: Request, connection: UntilAnswered) -> dict[str, str]:
    return await _read_later(request)


@router.post("/until-returned")
async def until_returned(request: Request, connection: UntilReturned) -> dict[str, str]:
    return await _read_later(request)


@router.post("/session")
async def with_session(request: Request, session: Session) -> dict[str, str]:
    assert await notes.read_async(session, 1) == "milk"
    queue = get_queue(request)
    borrowing = await read_with_the_requests_session.submit(queue, note_id=1)
    opening = await read_with_its_own_async.submit(queue, note_id=1)
    return {"borrowing": borrowing.job_id, "opening": opening.job_id}


@router.post("/background/until-answered")
async def background_until_answered(
    request: Request, connection: UntilAnswered, background: BackgroundTasks
) -> None:
    background.add_task(_read_in_background, request.app, connection)


@router.post("/background/until-returned")
async def background_until_returned(
    request: Request, connection: UntilReturned, background: BackgroundTasks
) -> None:
    background.add_task(_read_in_background, request.app, connection)


def _read_in_background(app: FastAPI, connection: sqlite3.Connection) -> None:
    app.state.log.append("task")
    app.state.log.append(notes.read(connection, 1))


@pytest.fixture
def app(database: Path, sessions: Sessions) -> FastAPI:
    app = app_of(router, handlers)
    app.state.database = database
    app.state.sessions = sessions
    app.state.log = []
    return app


@pytest.mark.parametrize("path", ["/until-answered", "/until-returned"])
async def test_connection_of_the_request_is_closed_before_the_job(app: FastAPI, path: str) -> None:
    """A job that uses a request's connection finds it closed; one that opens its own works."""
    async with serving(app) as client:
        jobs = (await client.post(path)).json()
        app.state.go_on.set()
        borrowing, opening = [await ended(app, jobs[name]) for name in ("borrowing", "opening")]
    assert (borrowing.status, borrowing.error_type) == (JobStatus.FAILED, "ProgrammingError")
    assert "closed database" in str(borrowing.error)
    assert (opening.status, opening.result) == (JobStatus.COMPLETED, "milk")


async def test_job_holds_nothing_of_its_request(app: FastAPI) -> None:
    """A background task keeps the request's connection from being closed; a job does not."""
    async with serving(app) as client:
        await client.post("/background/until-answered")
        assert app.state.log == ["task", "milk", "closed"]
        app.state.log.clear()
        jobs = (await client.post("/until-answered")).json()
        assert app.state.log == ["closed"]
        app.state.go_on.set()
        await ended(app, jobs["borrowing"])
    assert app.state.log == ["closed", "job"]


async def test_background_task_too_is_too_late(app: FastAPI) -> None:
    """Where a dependency ends with the endpoint, a background task fails; a job has its own."""
    async with serving(app) as client:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            await client.post("/background/until-returned")
        assert app.state.log == ["closed", "task"]
        app.state.go_on.set()
        jobs = (await client.post("/until-returned")).json()
        assert (await ended(app, jobs["opening"])).result == "milk"


async def test_closed_orm_session_opens_again_unseen(app: FastAPI, engine: AsyncEngine) -> None:
    """A closed SQLAlchemy session takes a connection that nobody gives back; an own one does."""
    async with serving(app) as client:
        jobs = (await client.post("/session")).json()
        assert _connections_out(engine) == 0
        app.state.go_on.set()
        borrowing = await ended(app, jobs["borrowing"])
        assert (borrowing.result, _connections_out(engine)) == ("milk", 1)
        await app.state.left_behind.close()
        opening = await ended(app, jobs["opening"])
        assert (opening.result, _connections_out(engine)) == ("milk", 0)


def _connections_out(engine: AsyncEngine) -> int:
    return cast(QueuePool, engine.pool).checkedout()


def _takes_connection(ctx: JobContext, session: sqlite3.Connection) -> None: ...


def _takes_session(ctx: JobContext, session: AsyncSession) -> None: ...


def _takes_row(ctx: JobContext, session: notes.Note) -> None: ...


def _takes_request(ctx: JobContext, session: Request) -> None: ...


def _takes_client(ctx: JobContext, session: httpx.AsyncClient) -> None: ...


@pytest.mark.parametrize(
    "function",
    [_takes_connection, _takes_session, _takes_row, _takes_request, _takes_client],
    ids=lambda function: function.__name__.removeprefix("_takes_"),
)
def test_handler_cannot_ask_for_a_session(function: Any) -> None:
    """A handler with a parameter that is no JSON is refused when it is registered, by name."""
    with pytest.raises(TypeError, match=r"handler 'read': 'session' cannot be part of a payload"):
        JobHandlers().register("read", function)


def _connection(sessions: Sessions) -> Any:
    return sqlite3.connect(":memory:")


def _session(sessions: Sessions) -> Any:
    return sessions()


def _row(sessions: Sessions) -> Any:
    return notes.Note(id=1, text="milk")


def _request(sessions: Sessions) -> Any:
    return Request({"type": "http"})


@pytest.mark.parametrize("make", [_connection, _session, _row, _request])
async def test_payload_cannot_carry_a_session(make: Any, sessions: Sessions) -> None:
    """What is no JSON is refused by the submit itself, naming the field, and nothing is queued."""
    loose = JobHandlers()

    @loose.job
    def read(ctx: JobContext, session: Any) -> None:
        pytest.fail("ran with what cannot travel")

    queue = InMemoryJobQueue(loose)
    given = make(sessions)
    with pytest.raises(InvalidPayloadError, match="'read': session: does not come back from JSON"):
        await read.submit(queue, session=given)
    assert await queue.list_jobs() == []
    if isinstance(given, sqlite3.Connection):
        given.close()
