"""The answers to what a queue raises in the application's own endpoints."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from ._problems import PROBLEMS, response_to

# What a closed websocket says to its client (RFC 6455, and the registry of its codes).
_REFUSED, _TRY_AGAIN_LATER = 1008, 1013


def add_problem_handlers(app: Starlette) -> None:
    """Answer with a problem document what a queue raises for clients in the app's own endpoints.

    For an app of Starlette or FastAPI. An unknown job is 404, a payload that does not fit 422,
    a queue that is full or closed 503 with ``Retry-After``; without it all of them are 500.

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

    The kinds of problems are in the reference. Everything else that is raised goes on to the
    app's error handling, and a handler that the app has of its own for one of these errors is
    used instead. A websocket is closed with 1008, or with 1013 where it may come again.

    Raises:
        TypeError: *app* is of another framework; says what to do there.
    """
    if not isinstance(app, Starlette):
        raise TypeError(
            "add_problem_handlers is for Starlette and FastAPI; elsewhere register a handler for"
            " JobNotFoundError and its like in the framework's own way, as in"
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
