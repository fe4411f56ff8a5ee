"""A queue that lives as long as its app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, cast

from ._finding import injected, put_on
from ._handlers import JobHandlers, LentHandlers
from ._loading import create_queue
from ._processes import warn_of_several
from ._protocols import AsyncJobQueue, JobBackend
from ._settings import JobQueueSettings


@asynccontextmanager
async def lifespan(
    app: Any = None,
    *,
    queue: AsyncJobQueue | None = None,
    handlers: JobHandlers | None = None,
    settings: JobQueueSettings | None = None,
    observers: Iterable[Any] = (),
) -> AsyncIterator[dict[str, AsyncJobQueue]]:
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
        settings: for a queue that is built here: the backend, by name, and its limits.
        observers: for a queue that is built here.

    Raises:
        BackendNotFoundError: no backend has the name that *settings* say.
        BackendError: the queue cannot be loaded, or cannot start; says why.
        TypeError: what was given or injected is no queue.
    """
    chosen = injected(app, queue)
    if chosen is None:
        chosen = create_queue(handlers, settings, observers)
    async with AsyncExitStack() as stack:
        stack.enter_context(put_on(app, chosen))
        if hasattr(chosen, "__aenter__"):
            backend = cast(JobBackend, chosen)
            stack.enter_context(_with_app(backend, app))
            stack.enter_context(_lent(backend, handlers))
            if not backend.started:
                warn_of_several(backend)
                await stack.enter_async_context(backend)
        yield {"job_queue": chosen}


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
    if not isinstance(view, LentHandlers):
        view = queue.handlers = LentHandlers(queue.handlers)
    view.lend(handlers)
    try:
        yield
    finally:
        if view.take_back(handlers):
            queue.handlers = view.own
