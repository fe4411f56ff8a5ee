"""What a queue raises in the endpoints of the application itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from litestar import Litestar
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocketDisconnect

from stoat_jobs import (
    BackendError,
    BackendNotFoundError,
    InMemoryJobQueue,
    InvalidPayloadError,
    JobFailedError,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobsError,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
    get_queue,
    lifespan,
)
from stoat_jobs.http import add_problem_handlers

from .test_routes import is_problem

ON_BOTH = pytest.mark.parametrize("framework", [Starlette, FastAPI])
SECRET = "postgres://user:hunter2@db"


def app_that_raises(framework: Callable[..., Any], error: Exception) -> Any:
    """An application whose only endpoint raises *error*."""

    async def endpoint(request: Request) -> Response:
        raise error

    app = framework()
    app.router.add_route("/", endpoint)
    return app


def answer_to(app: Any) -> httpx.Response:
    answer: Any = TestClient(app).get("/")
    return answer  # type: ignore[no-any-return]


@ON_BOTH
@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (JobNotFoundError("unknown"), 404, "job-not-found"),
        (UnknownJobTypeError("misspelt", ["scan"]), 422, "unknown-job-type"),
        (InvalidPayloadError("scan", [{"loc": ["n"], "msg": "no"}]), 422, "invalid-payload"),
        (QueueFullError(3), 503, "queue-full"),
        (QueueClosedError(), 503, "queue-closed"),
        (BackendError("postgres", f"cannot reach {SECRET}"), 503, "queue-unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_client_can_be_told(
    framework: Any, error: JobsError, status: int, name: str
) -> None:
    """What the queue raises for a client is a problem document, as on the package's own routes."""
    app = app_that_raises(framework, error)
    add_problem_handlers(app)
    answer = answer_to(app)
    assert is_problem(answer, status, name)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "hunter2" not in answer.text


@ON_BOTH
def test_the_operator_hears_why(framework: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a client is not told of a backend that fails is in the log, with its traceback."""
    error = BackendError("postgres", "cannot be reached")
    app = app_that_raises(framework, error)
    add_problem_handlers(app)
    assert "cannot be reached" not in answer_to(app).text
    [line] = [each for each in caplog.records if each.message.startswith("backend_failed")]
    assert line.levelname == "ERROR"
    assert line.exc_info is not None
    assert line.exc_info[1] is error


@ON_BOTH
@pytest.mark.parametrize(
    "error",
    [
        KeyError("job"),
        RuntimeError("no job queue here"),
        BackendNotFoundError("abacus"),
        JobFailedError(None),  # type: ignore[arg-type]
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_the_servers_own_fault(framework: Any, error: Exception) -> None:
    """Whatever else is raised goes on to the application's own error handling."""
    app = app_that_raises(framework, error)
    add_problem_handlers(app)
    with pytest.raises(type(error)) as raised:
        answer_to(app)
    assert raised.value is error


@ON_BOTH
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_the_applications_own_answer_stays(framework: Any, first: bool) -> None:
    """A handler that the application has for one of the errors is used, whichever came first."""

    async def own(request: Request, error: Exception) -> Response:
        return PlainTextResponse("own", 410)

    app = app_that_raises(framework, JobNotFoundError("unknown"))
    if first:
        app.add_exception_handler(JobNotFoundError, own)
    add_problem_handlers(app)
    if not first:
        app.add_exception_handler(JobNotFoundError, own)
    assert (answer_to(app).status_code, answer_to(app).text) == (410, "own")


def test_an_endpoint_that_reads_a_job() -> None:
    """An endpoint that only asks the queue answers 404 for an id that nobody knows."""
    app = FastAPI(lifespan=partial(lifespan, settings=JobQueueSettings(backend="memory")))
    add_problem_handlers(app)

    @app.get("/jobs/{job_id}")
    async def read(job_id: str, request: Request) -> Any:
        return await get_queue(request).get_result(job_id)

    with TestClient(app) as client:
        answer = client.get("/jobs/unknown")
    assert is_problem(cast(Any, answer), 404, "job-not-found")


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize(
    ("error", "code"), [(JobNotFoundError("unknown"), 1008), (QueueFullError(3), 1013)]
)
def test_in_a_websocket(accepts: bool, error: JobsError, code: int) -> None:
    """A websocket is closed with a code that says whether to come again, accepted or not."""
    app = FastAPI()
    add_problem_handlers(app)

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        if accepts:
            await websocket.accept()
        raise error

    with TestClient(app) as client, pytest.raises(WebSocketDisconnect) as closed:  # noqa: SIM117
        with client.websocket_connect("/") as websocket:
            websocket.receive_json()
    assert closed.value.code == code


def test_a_websocket_that_is_closed_already() -> None:
    """What is raised after the end of a websocket is not answered again."""
    app = FastAPI()
    add_problem_handlers(app)

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(1000)
        raise JobNotFoundError("unknown")

    with TestClient(app) as client, client.websocket_connect("/") as websocket:
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_json()
    assert closed.value.code == 1000


@pytest.mark.parametrize("app", [Litestar([], logging_config=None), JobHandlers(), FastAPI])
def test_an_app_of_another_framework(app: Any) -> None:
    """An app that is neither of Starlette nor of FastAPI is refused, with what to do instead."""
    with pytest.raises(TypeError, match="for Starlette and FastAPI.*JobNotFoundError"):
        add_problem_handlers(app)


def test_memory_queue_closed() -> None:
    """A queue that has closed is 503 in an endpoint too."""
    queue = InMemoryJobQueue()
    app = Starlette()
    add_problem_handlers(app)

    async def endpoint(request: Request) -> Response:
        async with queue:
            pass
        return PlainTextResponse(await queue.submit("any"))

    app.router.add_route("/", endpoint)
    assert is_problem(answer_to(app), 503, "queue-closed")
