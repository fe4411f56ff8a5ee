"""Puts a queue on an app, and finds it from a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from .._jobs.protocols import AsyncJobQueue, JobBackend

_MISSING = object()

_NOT_FOUND = (
    "no job queue {named}here: the app's lifespan has not run, or it has ended. Attach `lifespan`"
    " to the app that the server runs (`FastAPI(lifespan=partial(lifespan, ...))`). In a test, run"
    " the app's lifespan too (`with TestClient(app) as client:`, LifespanManager around an httpx"
    " client, `async with app.test_app():`), or set app.state.{key} to a queue. In Quart, call"
    " `get_queue(current_app)`: a Quart request does not know its app"
)


def key_of(name: str | None) -> str:
    """The key of the queue with this name, on an app and in the state of its requests.

    Raises:
        TypeError: the name is not a string, or is empty.
    """
    if name is None:
        return "job_queue"
    if isinstance(name, str) and name:
        return f"job_queue_{name}"
    raise TypeError(f"the name of an app's queue must be a non-empty string, not {name!r}")


def get_queue(source: Any, name: str | None = None) -> JobBackend:
    """The queue that serves *source*: a request, a websocket, an ASGI scope, or an app.

    In Quart, pass ``current_app``: a Quart request does not know its app.

    The queue is looked up in the request's lifespan state first, then on the app. So a mounted
    app finds the queue of the app around it, unless it has a lifespan with a queue of its own.
    With FastAPI, use it in a dependency::

        def job_queue(request: Request) -> JobBackend:
            return get_queue(request)

    Args:
        source: the request, websocket, ASGI scope or app.
        name: the name that ``lifespan(app, name=...)`` gave the queue, if the app has several.

    Raises:
        RuntimeError: there is no queue, for example because the app's lifespan has not run; the
            message says what to do.
    """
    key = key_of(name)
    # Unwrap a context-local proxy, such as Quart's current_app: Quart's error page shows local
    # variables, and there the proxy no longer works. Ask the class: a mock has every attribute.
    if hasattr(type(source), "_get_current_object"):
        source = source._get_current_object()
    queue = _find(source, key)
    if queue is None:
        named = f"named {name!r} (of lifespan(app, ..., name={name!r})) " if name else ""
        raise RuntimeError(_NOT_FOUND.format(named=named, key=key))
    return cast(JobBackend, queue)


def _find(source: Any, key: str) -> Any:
    scope = source if isinstance(source, Mapping) else getattr(source, "scope", None)
    if not isinstance(scope, Mapping):
        return _queue_in(_state_of(source), key)
    app = scope.get("app")
    in_scope, on_app = _queue_in(scope.get("state"), key), _queue_in(_state_of(app), key)
    if in_scope is None or (belongs_to(on_app, app) and _belongs_to_another(in_scope, app)):
        return on_app
    return in_scope


def belongs_to(queue: Any, app: Any) -> bool:
    """Whether a lifespan of *app* runs this queue."""
    return app is not None and getattr(queue, "app", None) is app


def _belongs_to_another(queue: Any, app: Any) -> bool:
    """Whether a lifespan of an app other than *app* runs this queue."""
    owner = getattr(queue, "app", None)
    return owner is not None and owner is not app


def _state_of(app: Any) -> Any:
    """The ``state`` of *app*, or the ``extensions`` of a Quart app; None if it has neither."""
    state = getattr(app, "state", None)
    return getattr(app, "extensions", None) if state is None else state


def _queue_in(state: Any, key: str, default: Any = None) -> Any:
    if isinstance(state, Mapping):
        return state.get(key, default)
    if _has_every_attribute(state) and key not in dir(state):
        return default
    return getattr(state, key, default)


def _has_every_attribute(state: Any) -> bool:
    """Whether *state* makes up attributes, as a mock does; then only ``dir()`` can be trusted."""
    return getattr(state, "no_job_queue_has_this_name", None) is not None


def injected(app: Any, queue: Any, key: str) -> AsyncJobQueue | None:
    """The queue that was passed in: *queue*, or else the one on *app*.

    Raises:
        TypeError: it is not a queue.
    """
    given = _queue_in(_state_of(app), key) if queue is None else queue
    if given is None:
        return None
    if isinstance(given, type) or not isinstance(given, AsyncJobQueue):
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise TypeError(f"the job queue must be an AsyncJobQueue, not {what}")
    return given


@contextmanager
def put_on(app: Any, queue: AsyncJobQueue, key: str) -> Iterator[None]:
    """Put *queue* on *app*, and restore afterwards what was there before."""
    state = _state_of(app)
    if state is None:
        yield
        return
    before = _queue_in(state, key, _MISSING)
    _put(state, key, queue)
    try:
        yield
    finally:
        _put(state, key, before)


def _put(state: Any, key: str, queue: Any) -> None:
    if queue is _MISSING:
        _remove(state, key)
    elif isinstance(state, MutableMapping):
        state[key] = queue
    else:
        setattr(state, key, queue)


def _remove(state: Any, key: str) -> None:
    with suppress(AttributeError, KeyError):  # the app may have removed it already
        if isinstance(state, MutableMapping):
            del state[key]
        else:
            delattr(state, key)
