"""The registry of the functions that do the work."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Concatenate, Protocol, overload

from typing_extensions import ParamSpec, TypeVar, Unpack

from .._model.errors import UnknownJobTypeError
from .._payload.signature import is_async
from .context import JobContext
from .job_types import AsyncJobType, JobType, Registry, SyncJobType
from .type_options import JobTypeOptions, refuse_unknown

P = ParamSpec("P")
R = TypeVar("R", default=Any)


class _Decorator(Protocol):
    """What ``@handlers.job(...)`` returns: typed by the function that it decorates."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[JobContext, P], Awaitable[R]], /
    ) -> AsyncJobType[P, R]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[JobContext, P], R], /
    ) -> SyncJobType[P, R]: ...


class JobHandlers(Registry):
    """The registry of job types.

    >>> handlers = JobHandlers()
    >>> @handlers.job(timeout=1800)
    ... def scan(ctx: JobContext, root: str) -> int:
    ...     return 0
    >>> handlers.get("scan").timeout
    1800.0
    """

    def __init__(self) -> None:
        self._types: MutableMapping[str, JobType[..., Any]] = {}

    @overload
    def job(  # type: ignore[overload-overlap]
        self,
        function: Callable[Concatenate[JobContext, P], Awaitable[R]],
        /,
        *,
        replace: bool = False,
        **options: Unpack[JobTypeOptions],
    ) -> AsyncJobType[P, R]: ...

    @overload
    def job(
        self,
        function: Callable[Concatenate[JobContext, P], R],
        /,
        *,
        replace: bool = False,
        **options: Unpack[JobTypeOptions],
    ) -> SyncJobType[P, R]: ...

    @overload
    def job(
        self,
        name: str | None = None,
        *,
        replace: bool = False,
        **options: Unpack[JobTypeOptions],
    ) -> _Decorator: ...

    def job(
        self, name: Any = None, *, replace: bool = False, **options: Unpack[JobTypeOptions]
    ) -> Any:
        """Register the decorated function, under its own name or *name*.

        A coroutine function is awaited on the event loop. Any other function is called in a
        thread, which later jobs use again; if it returns an awaitable, that is awaited on the
        loop too. So a plain decorator around an ``async`` function works, and cancels, time
        limits and grace periods hold for the function that it wraps.

        Args:
            name: the job type. Give one if the function may be renamed while jobs wait.
            timeout: seconds for each job, instead of the queue's setting; ``math.inf`` for no
                limit.
            retries: further attempts after an ``Exception``. Use them if the handler is
                idempotent.
            retry_on: which exceptions are retried: a type, a tuple of types, or a function of the
                exception that returns whether to try again, or after how many seconds. What it
                refuses ends ``failed`` at once. Use it to retry only what may pass, such as a
                lost connection. A group of exceptions is matched as the group that it is. The
                function is called on the event loop, so it must not block; if it raises, the job
                is not tried again.
            backoff: the delays between attempts, a :class:`Backoff`; by default random ones, up
                to 1, 2, 4, ... and at most 60 seconds.
            cancel_grace: seconds its jobs have to stop after a cancel or the shutdown, instead of
                the queue's setting. Use it if the clean-up takes long. While one of them runs, a
                shutdown may take so much longer.
            timeout_grace: the same after the time limit. A shutdown may cut it short.
            concurrency: how many of its jobs may run at once in one process, however many slots
                the queue has; waiting ones let jobs of other types pass. Use 1 for a GPU.
            keep_payload: keep the payload, as plain JSON, on the record of each job, to show it
                and to :meth:`~JobBackend.resubmit` the job. Leave it off if payloads may contain
                secrets.
            cooperative: set the context's flag first and cancel ``cancel_grace`` seconds
                later. Use it if an ``async`` handler has to reach a safe point.
            replace: give this function the name even if another has it, as when the cell of a
                notebook runs again. Jobs submitted from then on run the new function, and
                ``submit`` of the old job type is refused.

        If a handler has ``**payload``, make its first parameter positional-only, as in ``ctx,
        /``: the payload may then contain a ``ctx`` too, and mypy accepts it.

        Raises:
            TypeError: the signature is not one of a handler; says which parameter. Or there is
                no such option.
            ValueError: the name is taken or contains U+0000, or an option is out of its range.
        """
        refuse_unknown(options)
        if callable(name):
            return self.register(_own_name(name), name, replace=replace, **options)

        def decorate(function: Callable[..., Any]) -> JobType[..., Any]:
            definition: JobType[..., Any] = self.register(
                _own_name(function) if name is None else name,
                function,
                replace=replace,
                **options,
            )
            return definition

        return decorate

    @overload
    def register(  # type: ignore[overload-overlap]
        self,
        name: str,
        function: Callable[Concatenate[JobContext, P], Awaitable[R]],
        *,
        replace: bool = False,
        **options: Unpack[JobTypeOptions],
    ) -> AsyncJobType[P, R]: ...

    @overload
    def register(
        self,
        name: str,
        function: Callable[Concatenate[JobContext, P], R],
        *,
        replace: bool = False,
        **options: Unpack[JobTypeOptions],
    ) -> SyncJobType[P, R]: ...

    def register(
        self, name: str, function: Callable[..., Any], *, replace: bool = False, **options: Any
    ) -> Any:
        """Register any callable, at any time: a closure, a bound method, a partial.

        Like :meth:`job`, but not a decorator.
        """
        refuse_unknown(options)
        if isinstance(function, JobType):
            function = function.function
        kind = AsyncJobType if is_async(function) else SyncJobType
        definition: JobType[..., Any] = kind(name, function, **options)
        self._add([definition], replace=replace)
        return definition

    def include(self, other: JobHandlers) -> None:
        """Register everything that *other* has now, or nothing if a name is taken.

        Raises:
            ValueError: a name is taken.
        """
        self._add(list(other))

    def get(self, job_type: str) -> JobType[..., Any]:
        """The job type of this name.

        Raises:
            UnknownJobTypeError: there is none.
        """
        try:
            return self._types[job_type]
        except Exception:  # what is not text may raise anything when it is looked up
            raise UnknownJobTypeError(job_type, tuple(self._types)) from None

    def _add(self, definitions: list[JobType[..., Any]], *, replace: bool | None = None) -> None:
        for definition in definitions:
            if definition.name in self._types and not replace:
                again = ", or replace=True, as when a cell of a notebook runs again"
                raise ValueError(
                    f"job type {definition.name!r} is registered already; give this handler"
                    f" another name{'' if replace is None else again}"
                )
        self._types.update((definition.name, definition) for definition in definitions)

    def __contains__(self, job_type: object) -> bool:
        return job_type in self._types

    def __iter__(self) -> Iterator[JobType[..., Any]]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"<JobHandlers: {', '.join(self._types) or 'empty'}>"


class LentHandlers(JobHandlers):
    """A queue's own handlers and, for names that it lacks, those that apps lend it.

    A live view: it shows what is registered on either later. What is registered here becomes
    the queue's own.
    """

    def __init__(self, own: JobHandlers) -> None:
        self.own = own
        self._lent: list[JobHandlers] = []
        self._look_up()

    def lend(self, handlers: JobHandlers) -> None:
        """Serve *handlers* too."""
        self._lent.append(handlers)
        self._look_up()

    def take_back(self, handlers: JobHandlers) -> bool:
        """Stop serving *handlers*; True if nothing is lent any more."""
        self._lent.remove(handlers)
        self._look_up()
        return not self._lent

    def _look_up(self) -> None:
        self._types = ChainMap(self.own._types, *(lent._types for lent in self._lent))


def _own_name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    if isinstance(name, str):
        return name
    raise TypeError(f"{function!r} has no name of its own: use register(name, ...)")
