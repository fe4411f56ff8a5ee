"""The registry of the functions that do the work."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Concatenate, Protocol, overload

from typing_extensions import ParamSpec, TypeVar

from .._model.errors import UnknownJobTypeError
from .._payload.signature import is_async
from .context import JobContext
from .job_types import AsyncJobType, JobType, Registry, SyncJobType

P = ParamSpec("P")
R = TypeVar("R", default=Any)


class _Decorator(Protocol):
    """What ``@handlers.job(...)`` gives: typed by the function it is put on."""

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
        self, function: Callable[Concatenate[JobContext, P], Awaitable[R]], /
    ) -> AsyncJobType[P, R]: ...

    @overload
    def job(self, function: Callable[Concatenate[JobContext, P], R], /) -> SyncJobType[P, R]: ...

    @overload
    def job(
        self,
        name: str | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        cooperative: bool = False,
        replace: bool = False,
    ) -> _Decorator: ...

    def job(
        self,
        name: Any = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        cooperative: bool = False,
        replace: bool = False,
    ) -> Any:
        """Register the decorated function, under its own name or *name*.

        A coroutine function is awaited on the event loop, and any other one is called in a
        thread of its own. What a thread hands back is awaited on the loop as well, if it is
        to be awaited: so a plain decorator around an ``async`` function serves, and cancels,
        time limits and grace periods hold for what it wraps.

        Args:
            name: the job type. Give one where the function may be renamed while jobs wait.
            timeout: seconds for each job, over the queue's setting; ``math.inf`` for none.
            retries: further attempts after an ``Exception``, each after a growing random
                delay. Take some where the work may be done twice without harm.
            cooperative: set the context's flag first and cancel ``cancel_grace`` seconds
                later. Take it where an ``async`` handler has to reach a safe point.
            replace: give this function the name also where another has it: in a notebook,
                whose cells run again. Jobs submitted from then on run it, and the job type
                that it replaces is refused by its own ``submit``.

        A handler with ``**payload`` makes its first parameter positional-only, ``ctx, /``: it
        then takes a ``ctx`` in the payload too, and mypy accepts it.

        Raises:
            TypeError: the signature cannot serve; says which parameter.
            ValueError: the name is taken, or an option is out of its range.
        """
        if callable(name):
            return self.register(_own_name(name), name)

        def decorate(function: Callable[..., Any]) -> JobType[..., Any]:
            job_type: JobType[..., Any] = self.register(
                _own_name(function) if name is None else name,
                function,
                timeout=timeout,
                retries=retries,
                cooperative=cooperative,
                replace=replace,
            )
            return job_type

        return decorate

    @overload
    def register(  # type: ignore[overload-overlap]
        self,
        name: str,
        function: Callable[Concatenate[JobContext, P], Awaitable[R]],
        *,
        timeout: float | None = None,
        retries: int = 0,
        cooperative: bool = False,
        replace: bool = False,
    ) -> AsyncJobType[P, R]: ...

    @overload
    def register(
        self,
        name: str,
        function: Callable[Concatenate[JobContext, P], R],
        *,
        timeout: float | None = None,
        retries: int = 0,
        cooperative: bool = False,
        replace: bool = False,
    ) -> SyncJobType[P, R]: ...

    def register(
        self, name: str, function: Callable[..., Any], *, replace: bool = False, **options: Any
    ) -> Any:
        """Register any callable, also late: a closure, a bound method, a partial.

        As :meth:`job`, without the decorator.
        """
        if isinstance(function, JobType):
            function = function.function
        kind = AsyncJobType if is_async(function) else SyncJobType
        job_type: JobType[..., Any] = kind(name, function, **options)
        self._add([job_type], replace=replace)
        return job_type

    def include(self, other: JobHandlers) -> None:
        """Register everything that *other* has now; nothing when a name is taken.

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
        except Exception:  # what is no text may raise anything when it is looked up
            raise UnknownJobTypeError(job_type, tuple(self._types)) from None

    def _add(self, job_types: list[JobType[..., Any]], *, replace: bool | None = None) -> None:
        for job_type in job_types:
            if job_type.name in self._types and not replace:
                again = ", or replace=True, as where a cell of a notebook runs again"
                raise ValueError(
                    f"job type {job_type.name!r} is registered already; give this handler a"
                    f" name of its own{'' if replace is None else again}"
                )
        self._types.update((job_type.name, job_type) for job_type in job_types)

    def __contains__(self, job_type: object) -> bool:
        return job_type in self._types

    def __iter__(self) -> Iterator[JobType[..., Any]]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"<JobHandlers: {', '.join(self._types) or 'empty'}>"


class LentHandlers(JobHandlers):
    """A queue's own handlers and, for the names these lack, those that apps lend it.

    A live view: what is registered on either later is seen, and what is registered here
    is the queue's own.
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
        """Serve *handlers* no more; True if nothing is lent now."""
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
