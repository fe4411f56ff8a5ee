"""Runs a queue for as long as its app runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from types import TracebackType
from typing import Any, cast

from .._jobs.handlers import JobHandlers, LentHandlers
from .._jobs.protocols import AsyncJobQueue, JobBackend
from .._model.settings import JobQueueSettings
from .as_worker import admit, build_queue
from .get_queue import belongs_to, injected, key_of, put_on
from .server_processes import warn_of_several


def lifespan(
    app: Any = None,
    *,
    queue: AsyncJobQueue | None = None,
    handlers: JobHandlers | None = None,
    settings: JobQueueSettings | None = None,
    observers: Iterable[Any] = (),
    name: str | None = None,
) -> AbstractAsyncContextManager[dict[str, AsyncJobQueue]]:
    """Start a queue with the app, put it on the app, and stop it with the app.

    Attach it to an app: ``FastAPI(lifespan=partial(lifespan, handlers=handlers))``. It yields
    Starlette's lifespan state, so the queue is both ``app.state.job_queue`` and
    ``request.state.job_queue``. In a lifespan of your own, pass the state on::

        async with lifespan(app, handlers=handlers) as state:
            yield {**state}

    If it starts an in-process queue under a server with several workers, it logs the warning
    ``several_processes``, because each worker would know only its own jobs.

    Args:
        app: the app. While the queue runs, it is ``job_queue`` on the app's ``state`` (in Quart:
            in ``extensions``), where :func:`get_queue` finds it. Handlers see the app as
            ``ctx.app``.
        queue: the queue to use, mostly in tests. Without it, an injected
            ``app.state.job_queue`` is used, or else a queue is built. A queue that is started
            already is used, but neither started nor stopped. A queue with only the three
            methods of :class:`AsyncJobQueue` is only put on the app.
        handlers: the job types. An injected queue keeps its own handlers and gets those of
            these whose names it does not have.
        settings: the backend, by name, and its limits, for a queue that is built here. They are
            an error with *queue*, or on an app whose queue another lifespan has started. If a
            queue was injected at ``app.state.job_queue``, as in a test, it replaces the queue
            that would be built, and *settings* and *observers* are ignored.
        observers: for a queue that is built here, like *settings*.
        name: for a second queue on one app: ``name="io"`` puts it at ``job_queue_io``, where
            ``get_queue(request, "io")`` finds it.

    Raises:
        BackendNotFoundError: no backend has the name in *settings*.
        BackendError: the queue cannot be loaded or cannot start; the message says why.
        HandlerMismatchError: the queue has another function under the name of one of
            *handlers*.
        ValueError: *settings* or *observers* are given for a queue that is not built here.
        TypeError: *queue*, or what was injected, is not a queue.
    """
    return _Lifespan(_lifespan(app, queue, handlers, settings, observers, key_of(name)))


class _Lifespan(AbstractAsyncContextManager[dict[str, AsyncJobQueue]]):
    """The result of ``lifespan(...)``; explains the mistake if a framework calls it."""

    def __init__(self, life: AbstractAsyncContextManager[dict[str, AsyncJobQueue]]) -> None:
        self._life = life

    async def __aenter__(self) -> dict[str, AsyncJobQueue]:
        return await self._life.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None:
        return await self._life.__aexit__(exc_type, exc, traceback)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "lifespan(...) was called too early: the framework has to call it, with the app. Pass"
            " functools.partial(lifespan, ...), as in"
            " FastAPI(lifespan=functools.partial(lifespan, handlers=handlers))"
        )


@asynccontextmanager
async def _lifespan(
    app: Any,
    queue: AsyncJobQueue | None,
    handlers: JobHandlers | None,
    settings: JobQueueSettings | None,
    observers: Iterable[Any],
    key: str,
) -> AsyncIterator[dict[str, AsyncJobQueue]]:
    _check_app(app)
    chosen = injected(app, queue, key)
    is_built_here = chosen is None
    if chosen is None:
        chosen = build_queue(handlers, settings, observers)
    elif queue is not None or belongs_to(chosen, app):
        _check_unused(settings, observers, given=queue is not None)
    if queue is not None:
        _check_free(app, queue, key)
    async with AsyncExitStack() as stack:
        stack.enter_context(put_on(app, chosen, key))
        if hasattr(chosen, "__aenter__"):
            backend = cast(JobBackend, chosen)
            stack.enter_context(_with_app(backend, app))
            stack.enter_context(_lent(backend, handlers))
            admit(backend, key, is_built_here=is_built_here)
            if not backend.started:
                warn_of_several(backend)
                await stack.enter_async_context(backend)
        yield {key: chosen}


def _check_app(app: Any) -> None:
    if isinstance(app, (JobHandlers, JobQueueSettings)):
        raise TypeError(
            f"the first argument of lifespan is the app, not {type(app).__name__}: write"
            " lifespan(app, handlers=..., settings=...)"
        )


def _check_free(app: Any, queue: AsyncJobQueue, key: str) -> None:
    """Refuse to replace a queue that another lifespan of *app* has started."""
    present = injected(app, None, key)
    if present is not queue and belongs_to(present, app):
        raise ValueError(
            "this queue would hide the one that another lifespan of this app has started: give it"
            ' a name of its own, as in lifespan(app, queue=queue, name="io"), or leave out queue='
            " to use the queue that is already there"
        )


def _check_unused(
    settings: JobQueueSettings | None, observers: Iterable[Any], *, given: bool
) -> None:
    """Refuse settings and observers that would be ignored."""
    given_names = {"settings": settings is not None, "observers": bool(observers)}
    unused = [name for name, is_given in given_names.items() if is_given]
    if not unused:
        return
    what = f"{' and '.join(unused)} would be ignored: "
    if given:
        raise ValueError(
            what + "lifespan uses the queue in queue= as it is. Pass them to the queue itself,"
            " or leave them out here (settings=None if queue else settings)"
        )
    raise ValueError(
        what + "another lifespan of this app has already started its queue. Pass them to that"
        ' lifespan, or start a second queue: lifespan(app, ..., name="io")'
    )


@contextmanager
def _with_app(queue: JobBackend, app: Any) -> Iterator[None]:
    """Set the queue's app meanwhile, unless it has one already."""
    if queue.app is not None:
        yield
        return
    queue.app = app
    try:
        yield
    finally:
        queue.app = None


@contextmanager
def _lent(queue: JobBackend, handlers: JobHandlers | None) -> Iterator[None]:
    """Lend the app's handlers to the queue; several lifespans may end in any order."""
    if handlers is None or handlers is queue.handlers:
        yield
        return
    view = queue.handlers
    if isinstance(view, JobHandlers):  # the handlers of a mock queue are a mock
        for job_type in handlers:
            view.check_serves(job_type)
    if not isinstance(view, LentHandlers):
        view = queue.handlers = LentHandlers(queue.handlers)
    view.lend(handlers)
    try:
        yield
    finally:
        if view.take_back(handlers):
            queue.handlers = view.own
