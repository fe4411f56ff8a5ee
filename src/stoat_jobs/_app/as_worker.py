"""What `lifespan` does in a worker process, which is an app without a socket.

Whoever runs the app's lifespan says so by a context variable. Then a queue that is built from
settings runs jobs, also if they say ``worker=False``, with which a web process of the same app
only submits. In all other processes nothing here has an effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

from .._jobs.handlers import JobHandlers
from .._jobs.protocols import JobBackend
from .._model.capabilities import Capabilities
from .._model.settings import JobQueueSettings
from .._text import nearest_first, one_line, shown
from .entry_points import create_queue

_NO_QUEUE = (
    "the app's lifespan starts no queue: use stoat_jobs.lifespan or with_jobs, with settings, as"
    " for the web processes"
)
_ITS_OWN = "runs its jobs in the process that accepted them, so a separate worker would "
_REMEDY = ": for workers, use a backend that processes share, such as postgres"

_GIVEN = (
    "the app passes a queue to lifespan that it has built itself: pass its settings instead, so"
    " that the worker can "
)

_current: ContextVar[WorkerProcess | None] = ContextVar("stoat_jobs_worker", default=None)


class WorkerProcess:
    """Makes lifespans those of a worker process: queues that they build from settings run jobs.

    ``stoat-jobs worker`` uses it. Run the app's lifespan in a task that is created in the block::

        with WorkerProcess(job_types=["render"]) as worker:
            life = asyncio.create_task(run_lifespan(app))

    A queue in ``options={"worker": False}`` is built with True. One that cannot be shared is
    refused with a ``ValueError``, before it is started, if its jobs are kept in a file.

    Args:
        concurrency: slots of each queue that processes share; None for those of its settings.
        job_types: the types that are run here, the option ``job_types`` of the backend; all if
            it is empty.

    Attributes:
        queues: those that the lifespans have started, by their names on the app.
        refusal: why a lifespan was refused; None if none was.
    """

    def __init__(self, concurrency: int | None = None, job_types: Iterable[str] = ()) -> None:
        self.queues: dict[str, JobBackend] = {}
        self.refusal: str | None = None
        self._concurrency = concurrency
        self._job_types = tuple(dict.fromkeys(job_types))
        self._token: Token[WorkerProcess | None] | None = None

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None

    @property
    def shared(self) -> dict[str, JobBackend]:
        """Those of the queues that processes share."""
        return {name: each for name, each in self.queues.items() if _is_shared(each)}

    @property
    def problem(self) -> str | None:
        """Why there is nothing to do here, once the lifespan has started; None if there is."""
        if self.refusal is not None:
            return self.refusal
        if not self.queues:
            return _NO_QUEUE
        if not self.shared:
            names = " and ".join(dict.fromkeys(map(_name_of, self.queues.values())))
            return f"backend {names} {_ITS_OWN}never see one{_REMEDY}"
        return next(self._unknown_types(), None)

    def _unknown_types(self) -> Iterator[str]:
        known = {each.name for queue in self.shared.values() for each in queue.handlers}
        for name in self._job_types:
            if name not in known:
                names = ", ".join(nearest_first(name, known)) or "none"
                yield one_line(f"no job type {shown(name)}; known, nearest first: {names}", 1000)

    # What `lifespan` asks.

    def _build(
        self,
        handlers: JobHandlers | None,
        settings: JobQueueSettings | None,
        observers: Iterable[Any],
    ) -> JobBackend:
        observers = tuple(observers)
        queue = create_queue(handlers, settings, observers)  # which only knows what it can
        if not _is_shared(queue):
            return queue
        changed = self._changed(queue)
        if changed == queue.settings:
            return queue
        try:
            return create_queue(handlers, changed, observers)
        except ValueError as error:
            reason = f"backend {_name_of(queue)} refuses what this worker is to do: {error}"
        raise self._refused(reason)

    def _changed(self, queue: JobBackend) -> JobQueueSettings:
        options = dict(queue.settings.options)
        if "worker" in options:
            options["worker"] = True
        if self._job_types:
            known = {each.name for each in queue.handlers}
            options["job_types"] = [name for name in self._job_types if name in known]
        update: dict[str, Any] = {"options": options}
        if self._concurrency is not None:
            update["concurrency"] = self._concurrency
        return queue.settings.model_copy(update=update)

    def _admit(self, queue: JobBackend, key: str, *, is_built_here: bool) -> None:
        """Note a queue that a lifespan starts or uses.

        Raises:
            ValueError: it cannot run in a worker process.
        """
        if any(queue is each for each in self.queues.values()):
            return
        if Capabilities.of(queue).durable and not _is_shared(queue):
            raise self._refused(
                f"backend {_name_of(queue)} {_ITS_OWN}take them away from it{_REMEDY}"
            )
        if not is_built_here and _is_shared(queue):
            self._check_given(queue)
        while key in self.queues:  # that of another app, mounted in this one
            key += "_"
        self.queues[key] = queue

    def _check_given(self, queue: JobBackend) -> None:
        """Refuse a queue that the app has built itself, if it would have to be another one."""
        if self._concurrency is not None:
            raise self._refused(_GIVEN + "have another concurrency")
        if self._job_types:
            raise self._refused(_GIVEN + "run only some job types")
        options = getattr(queue, "options", None)
        if getattr(options, "worker", queue.settings.options.get("worker", True)) is False:
            raise self._refused(_GIVEN + "run jobs: this queue only submits")

    def _refused(self, reason: str) -> ValueError:
        self.refusal = self.refusal or reason
        return ValueError(reason)


def build_queue(
    handlers: JobHandlers | None,
    settings: JobQueueSettings | None,
    observers: Iterable[Any],
) -> JobBackend:
    """Create the queue of a lifespan; in a worker process, one that runs jobs."""
    worker = _current.get()
    if worker is None:
        return create_queue(handlers, settings, observers)
    return worker._build(handlers, settings, observers)


def admit(queue: JobBackend, key: str, *, is_built_here: bool) -> None:
    """In a worker process, note or refuse a queue that a lifespan starts or uses."""
    worker = _current.get()
    if worker is not None:
        worker._admit(queue, key, is_built_here=is_built_here)


def _is_shared(queue: JobBackend) -> bool:
    return Capabilities.of(queue).cross_process


def _name_of(queue: JobBackend) -> str:
    return shown(getattr(queue, "name", type(queue).__name__))
