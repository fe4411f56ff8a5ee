"""The event loop that a queue belongs to, and the errors of calls from outside it."""

from __future__ import annotations

import asyncio
from typing import Any

from .._model.errors import BackendError

_BESIDE = " client.portal.call(queue.{method}, ...), in Litestar `with client.portal() as portal:`"
_NO_LOOP = f", beside a TestClient{_BESIDE}"
_OTHER_LOOP = (
    "; a TestClient has a loop of its own, in which the app's lifespan has to start the queue, and"
    f" beside it use{_BESIDE}; in pytest give the fixture that starts the queue and the test one"
    " loop_scope"
)


def asyncio_loop(backend: str) -> asyncio.AbstractEventLoop:
    """The event loop that runs here.

    Raises:
        BackendError: none does, or it is not asyncio's.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise BackendError(
            backend,
            "needs an asyncio event loop, and none is running here (trio? with anyio's pytest"
            " plugin let the fixture anyio_backend return 'asyncio')",
        ) from error


def outside(method: str, loop: asyncio.AbstractEventLoop | None) -> RuntimeError:
    """The error of a call from *loop* (None: no loop) instead of the queue's own loop."""
    remedy = _NO_LOOP if loop is None else _OTHER_LOOP
    return RuntimeError(
        f"{method}() was called outside the event loop that runs the queue: in a `def` endpoint of"
        f" Starlette or FastAPI use anyio.from_thread.run(queue.{method}, ...), in a sync handler"
        f" use ctx.from_thread(ctx.queue.{method}, ...)" + remedy.format(method=method)
    )


def check_loop(method: str, own: asyncio.AbstractEventLoop | None) -> None:
    """Refuse a call from outside *own*, the event loop of a queue, or before there is one.

    Raises:
        RuntimeError: *own* does not run here; says how to call *method* from there.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if loop is None or loop is not own:
        raise outside(method, loop)


def is_orphaned(loop: asyncio.AbstractEventLoop | None, owner: asyncio.Task[Any] | None) -> bool:
    """Whether nobody can leave the queue that *owner* entered on *loop*.

    A second Ctrl-C ends the owner where it is, perhaps before ``__aexit__`` has begun. A third
    ends ``asyncio.run`` while it waits for all tasks, and the loop is closed under them.
    """
    if loop is None or owner is None or loop.is_closed():
        return loop is not None and loop.is_closed()
    if not owner.done():
        return False
    return owner.cancelled() or isinstance(owner.exception(), KeyboardInterrupt)
