"""Where an app keeps its queue, and how a request finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from .._jobs.protocols import AsyncJobQueue, JobBackend

_MISSING = object()

_NOT_FOUND = (
    "no job queue {named}here: the app's lifespan has not run, or it has ended. Hang `lifespan` on"
    " the app that the server runs, which it has to be given (`partial(lifespan, ...)`); in a test"
    " run the app's lifespan too (`with TestClient(app) as client:`, LifespanManager around an"
    " httpx client, `async with app.test_app():`), or put a queue at app.state.{key}. In Quart ask"
    " with `get_queue(current_app)`: a request of Quart does not know its app"
)


def key_of(name: str | None) -> str:
    """Where the queue of this name is, on an app and in the state of its requests.

    Raises:
        TypeError: it is no text, or empty.
    """
    if name is None:
        return "job_queue"
    if isinstance(name, str) and name:
        return f"job_queue_{name}"
    raise TypeError(f"a queue of an app is named by text that is not empty, not {name!r}")


def get_queue(source: Any, name: str | None = None) -> JobBackend:
    """The queue that serves *source*: a request, a websocket, an ASGI scope, or an app.

    (In Quart an app, which is ``current_app``: its requests do not know theirs.)

    It looks in the lifespan state of the request, where a mounted app too finds what the
    server's app started, and then on the app itself. A mounted app with a lifespan of its own
    finds its own queue. With FastAPI it makes a dependency::

        def job_queue(request: Request) -> JobBackend:
            return get_queue(request)

    Args:
        source: what is to be served.
        name: of several queues on one app the one that ``lifespan(app, name=...)`` gave this
            name.

    Raises:
        RuntimeError: there is none, as when the app's lifespan has not run; says what to do.
    """
    key = key_of(name)
    # A context-local proxy, as Quart's: its error page shows variables when it is gone. Asked
    # of the class, since a mock has every attribute.
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
        return _queue_in(_shelf(source), key)
    app = scope.get("app")
    handed_on, on_app = _queue_in(scope.get("state"), key), _queue_in(_shelf(app), key)
    if handed_on is None or (is_hosted(on_app, app) and _is_hosted_elsewhere(handed_on, app)):
        return on_app
    return handed_on


def is_hosted(queue: Any, app: Any) -> bool:
    """Whether a lifespan of *app* has this queue."""
    return app is not None and getattr(queue, "app", None) is app


def _is_hosted_elsewhere(queue: Any, app: Any) -> bool:
    """Whether a lifespan of another app has this queue."""
    host = getattr(queue, "app", None)
    return host is not None and host is not app


def _shelf(app: Any) -> Any:
    """Where *app* keeps things: its ``state``, or Quart's ``extensions``; None without either."""
    state = getattr(app, "state", None)
    return getattr(app, "extensions", None) if state is None else state


def _queue_in(place: Any, key: str, default: Any = None) -> Any:
    if isinstance(place, Mapping):
        return place.get(key, default)
    if _makes_up(place) and key not in dir(place):
        return default
    return getattr(place, key, default)


def _makes_up(place: Any) -> bool:
    """Whether it has whatever it is asked for, as a mock: then it has to be looked for."""
    return getattr(place, "no_job_queue_has_this_name", None) is not None


def injected(app: Any, queue: Any, key: str) -> AsyncJobQueue | None:
    """The queue that was given: *queue*, or else what is on *app*.

    Raises:
        TypeError: it is no queue.
    """
    given = _queue_in(_shelf(app), key) if queue is None else queue
    if given is None:
        return None
    if isinstance(given, type) or not isinstance(given, AsyncJobQueue):
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        raise TypeError(f"the job queue given must be an AsyncJobQueue, not {what}")
    return given


@contextmanager
def put_on(app: Any, queue: AsyncJobQueue, key: str) -> Iterator[None]:
    """The queue on *app*, and afterwards what was there before."""
    shelf = _shelf(app)
    if shelf is None:
        yield
        return
    before = _queue_in(shelf, key, _MISSING)
    _put(shelf, key, queue)
    try:
        yield
    finally:
        _put(shelf, key, before)


def _put(shelf: Any, key: str, queue: Any) -> None:
    if queue is _MISSING:
        _take_away(shelf, key)
    elif isinstance(shelf, MutableMapping):
        shelf[key] = queue
    else:
        setattr(shelf, key, queue)


def _take_away(shelf: Any, key: str) -> None:
    with suppress(AttributeError, KeyError):  # the app may have done so itself
        if isinstance(shelf, MutableMapping):
            del shelf[key]
        else:
            delattr(shelf, key)
