"""Answers for errors of the queue in the application's own endpoints."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from ._problems import PROBLEMS, response_to

# Close codes of websockets (RFC 6455 and its registry).
_REFUSED, _TRY_AGAIN_LATER = 1008, 1013


def add_problem_handlers(app: Starlette) -> None:
    """Answer errors of the queue in the app's own endpoints with problem documents.

    For Starlette and FastAPI. The answer is 404 for an unknown job, 422 for a payload that does
    not fit, and 503 with ``Retry-After`` for a queue that is full or closed. Without this
    function all of them are 500.

    >>> from starlette.applications import Starlette
    >>> from starlette.routing import Route
    >>> from starlette.testclient import TestClient
    >>> async def read(request):
    ...     raise JobNotFoundError(request.path_params["job_id"])
    >>> app = Starlette(routes=[Route("/jobs/{job_id}", read)])
    >>> add_problem_handlers(app)
    >>> answer = TestClient(app).get("/jobs/unknown")
    >>> answer.status_code, answer.json()["title"]
    (404, 'Job not found')

    The reference lists all problems. Other exceptions go to the app's error handling. If the app
    has its own handler for one of these errors, that handler is used. A websocket is closed with
    1008, or with 1013 if the client may try again.

    Raises:
        TypeError: *app* is from another framework; the message says what to do there.
    """
    if not isinstance(app, Starlette):
        raise TypeError(
            "add_problem_handlers is for Starlette and FastAPI; in other frameworks, register"
            " handlers for JobNotFoundError and the other errors the framework's way, as in"
            " Litestar(exception_handlers={JobNotFoundError: not_found})"
        )
    for kind in PROBLEMS:
        app.exception_handlers.setdefault(kind, _answer)


async def _answer(connection: Any, error: Exception) -> Response | None:
    response = response_to(error)
    if response is None or not isinstance(connection, WebSocket):
        return response
    if connection.application_state is not WebSocketState.DISCONNECTED:
        await connection.close(_TRY_AGAIN_LATER if response.status_code == 503 else _REFUSED)
    return None
