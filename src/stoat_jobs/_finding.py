"""Where an app keeps its queue, and how a request finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from ._protocols import AsyncJobQueue, JobBackend

NAME = "job_queue"

_MISSING = object()

_NOT_FOUND = (
    "no job queue here: the app's lifespan has not run, or it has ended. Hang `lifespan` on the "
    "app that the server runs; in a test run the app's lifespan too (`with TestClient(app) as "
    "client:`, LifespanManager around an httpx client, `async with app.test_app():`), or put a "
    "queue at app.state.job_queue. In Quart ask with `get_queue(current_app)`: a request of Quart "
    "does not know its app"
)


def get_queue(source: Any) -> JobBackend:
    """The queue that serves *source*: a request, a websocket, an ASGI scope, or an app.

    (In Quart an app, which is ``current_app``: its requests do not know theirs.)

    It looks in the lifespan state of the request, where a mounted app too finds what the
    server's app started, and then on the app itself. With FastAPI it makes a dependency::

        def job_queue(request: Request) -> JobBackend:
            return get_queue(request)

    Raises:
        RuntimeError: there is none, as when the app's lifespan has not run; says what to do.
    """
    # A context-local proxy, as Quart's: its error page shows variables when it is gone.
    source = getattr(source, "_get_current_object", lambda: source)()
    for place in _places(source):
        queue = _queue_in(place)
        if queue is not None:
            return cast(JobBackend, queue)
    raise RuntimeError(_NOT_FOUND)


def _places(source: Any) -> Iterator[Any]:
    scope = source if isinstance(source, Mapping) else getattr(source, "scope", None)
    if isinstance(scope, Mapping):
        yield scope.get("state")
        yield _shelf(scope.get("app"))
    else:
        yield _shelf(source)


def _shelf(app: Any) -> Any:
    """Where *app* keeps things: its ``state``, or Quart's ``extensions``; None without either."""
    state = getattr(app, "state", None)
    return getattr(app, "extensions", None) if state is None else state


def _queue_in(place: Any, default: Any = None) -> Any:
    if isinstance(place, Mapping):
        return place.get(NAME, default)
    return getattr(place, NAME, default)


def injected(app: Any, queue: Any) -> AsyncJobQueue | None:
    """The queue that was given: *queue*, or else what is on *app*.

    Raises:
        TypeError: it is no queue.
    """
    given = _queue_in(_shelf(app)) if queue is None else queue
    if given is None:
        return None
    if isinstance(given, type) or not isinstance(given, AsyncJobQueue):
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise TypeError(f"the job queue given must be an AsyncJobQueue, not {what}")
    return given


@contextmanager
def put_on(app: Any, queue: AsyncJobQueue) -> Iterator[None]:
    """The queue on *app*, and afterwards what was there before."""
    shelf = _shelf(app)
    if shelf is None:
        yield
        return
    before = _queue_in(shelf, _MISSING)
    _put(shelf, queue)
    try:
        yield
    finally:
        _put(shelf, before)


def _put(shelf: Any, queue: Any) -> None:
    if queue is _MISSING:
        _take_away(shelf)
    elif isinstance(shelf, MutableMapping):
        shelf[NAME] = queue
    else:
        setattr(shelf, NAME, queue)


def _take_away(shelf: Any) -> None:
    with suppress(AttributeError, KeyError):  # the app may have done so itself
        if isinstance(shelf, MutableMapping):
            del shelf[NAME]
        else:
            delattr(shelf, NAME)
