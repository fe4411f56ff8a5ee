"""A queue that lives as long as its app."""

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
from .entry_points import create_queue
from .get_queue import injected, is_hosted, key_of, put_on
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
    """Start the app's queue, put it on the app, stop it at the end.

    Hang it on an app: ``FastAPI(lifespan=partial(lifespan, handlers=handlers))``. It yields
    Starlette's lifespan state, so that ``request.state.job_queue`` is the queue as well as
    ``app.state.job_queue``. In a lifespan of your own, hand that on::

        async with lifespan(app, handlers=handlers) as state:
            yield {**state}

    An in-process queue that it starts under a server with several workers is warned of in the
    log, as ``several_processes``: each worker would know its own jobs only.

    Args:
        app: the app; its ``state`` (in Quart its ``extensions``) gets ``job_queue`` for as
            long, and handlers see it as ``ctx.app``. :func:`get_queue` finds the queue there.
        queue: the queue to use, above all in tests. Without one, an ``app.state.job_queue``
            that was injected is used, else one is built. One that is started already is used,
            and neither started nor stopped; one with only the three methods of
            :class:`AsyncJobQueue` is put on the app.
        handlers: the job types. An injected queue keeps its own, and is lent these for the
            names that it lacks.
        settings: for a queue that is built here: the backend, by name, and its limits. With
            *queue*, or on an app whose queue another lifespan has started, they are an error.
            A queue that was injected at ``app.state.job_queue``, as by a test, stands in for
            the one that would be built, and these and *observers* go with that.
        observers: for a queue that is built here, as *settings* are.
        name: for a second queue on one app: ``name="io"`` puts it at ``job_queue_io``, where
            ``get_queue(request, "io")`` finds it.

    Raises:
        BackendNotFoundError: no backend has the name that *settings* say.
        BackendError: the queue cannot be loaded, or cannot start; says why.
        HandlerMismatchError: the queue has another function under the name of one of
            *handlers*.
        ValueError: *settings* or *observers* for a queue that is not built here.
        TypeError: what was given or injected is no queue.
    """
    return _Lifespan(_lifespan(app, queue, handlers, settings, observers, key_of(name)))


class _Lifespan(AbstractAsyncContextManager[dict[str, AsyncJobQueue]]):
    """What ``lifespan(...)`` gives; says what to do where it is taken for a function."""

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
            "lifespan(...) was called too early: a framework calls it with the app. Give it"
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
    if chosen is None:
        chosen = create_queue(handlers, settings, observers)
    elif queue is not None or is_hosted(chosen, app):
        _check_unused(settings, observers, given=queue is not None)
    if queue is not None:
        _check_free(app, queue, key)
    async with AsyncExitStack() as stack:
        stack.enter_context(put_on(app, chosen, key))
        if hasattr(chosen, "__aenter__"):
            backend = cast(JobBackend, chosen)
            stack.enter_context(_with_app(backend, app))
            stack.enter_context(_lent(backend, handlers))
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
    """Refuse to take the place of a queue that another lifespan of *app* has there."""
    there = injected(app, None, key)
    if there is not queue and is_hosted(there, app):
        raise ValueError(
            "the queue given would hide the one that another lifespan of this app has started:"
            ' give it a name of its own, as in lifespan(app, queue=queue, name="io"), or leave'
            " queue= out to use the one that is there"
        )


def _check_unused(
    settings: JobQueueSettings | None, observers: Iterable[Any], *, given: bool
) -> None:
    """Refuse what would be ignored."""
    there = {"settings": settings is not None, "observers": bool(observers)}
    unused = [name for name, is_there in there.items() if is_there]
    if not unused:
        return
    what = f"{' and '.join(unused)} would be ignored: "
    if given:
        raise ValueError(
            what + "lifespan uses the queue that it is given as queue= as it is. Give them to the"
            " queue itself, or leave them out beside it (settings=None if queue else settings)"
        )
    raise ValueError(
        what + "this app has a queue already, which another lifespan started. Give them to that"
        ' one, or have a queue of its own for this: lifespan(app, ..., name="io")'
    )


@contextmanager
def _with_app(queue: JobBackend, app: Any) -> Iterator[None]:
    """The queue with its app, unless it has one already."""
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
    """The queue with the app's handlers too; lifespans may end in any order."""
    if handlers is None or handlers is queue.handlers:
        yield
        return
    view = queue.handlers
    if isinstance(view, JobHandlers):  # a mock of a queue has a mock of them
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
