"""Job types, which are registered functions."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    MutableMapping,
)
from datetime import timedelta
from pathlib import PurePath
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, Union, get_args, get_origin

from typing_extensions import ParamSpec, TypeVar

from .._model.backoff import Backoff
from .._model.errors import HandlerMismatchError, ResultTooLargeError
from .._model.settings import check_finite, check_timeout
from .._payload.codec import Codec, same
from .._payload.form import PayloadForm, why_no_json
from .._payload.results import refuse_used_up
from .._payload.signature import UNIONS, is_async, resolve, signature_of
from .._payload.unsupported_types import refuse_unsupported
from .._text import WHY_NO_NUL, shown
from .context import JobContext
from .context_parameter import check_first_parameter
from .protocols import JobBackend, Unique
from .refs import JobRef
from .type_options import (
    RetryOn,
    checked_backoff,
    checked_concurrency,
    checked_flag,
    checked_retries,
    checked_retry_on,
)

P = ParamSpec("P")
R = TypeVar("R", default=Any)

# These do not stand in for a context: they are arguments that were given without one.
_PLAIN = (str, bytes, int, float, list, tuple, dict, set, PurePath)


class JobType(Generic[P, R]):
    """A registered function; in a unit test, call it as the function that it is.

    Attributes:
        name: the job type.
        timeout: seconds for each of its jobs, None for the queue's setting.
        retries: further attempts after an exception that *retry_on* names.
        retry_on: exception types, or a function that says whether an exception is retried.
        backoff: the delays between attempts.
        cancel_grace: seconds to stop after a cancel or the shutdown, None for the queue's setting.
        timeout_grace: the same after the time limit.
        concurrency: how many of its jobs may run at once, None for no limit of its own.
        keep_payload: the record of a job has its payload.
        cooperative: its context's flag tells it to stop, and it is cancelled only
            ``cancel_grace`` seconds later.
        is_async: it is known to be a coroutine function; any other function is called in a
            thread, and if it returns an awaitable, that is awaited.
        result_type: its return annotation; Any if there is no usable one.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        timeout: float | None = None,
        retries: int = 0,
        retry_on: RetryOn = Exception,
        backoff: Backoff | None = None,
        cancel_grace: float | None = None,
        timeout_grace: float | None = None,
        concurrency: int | None = None,
        keep_payload: bool = False,
        cooperative: bool = False,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name: str = _checked_name(name)
        self.function = function
        self.timeout: float | None = None if timeout is None else check_timeout(timeout)
        self.retries: int = checked_retries(name, retries)
        self.retry_on: RetryOn = checked_retry_on(name, retry_on, retries)
        self.backoff: Backoff = checked_backoff(name, backoff, retries)
        self.cancel_grace: float | None = _grace(cancel_grace, "cancel_grace")
        self.timeout_grace: float | None = _grace(timeout_grace, "timeout_grace")
        self.concurrency: int | None = checked_concurrency(name, concurrency)
        self.keep_payload: bool = checked_flag(name, "keep_payload", keep_payload)
        self.cooperative = cooperative
        self.is_async: bool = is_async(function)
        check_first_parameter(name, function)
        self.form: PayloadForm = PayloadForm(name, function, keep=keep_payload)
        self._options: dict[str, Any] = {}

    if TYPE_CHECKING:

        def __call__(self, context: JobContext, /, *args: P.args, **kwargs: P.kwargs) -> Any: ...

    else:

        def __call__(self, *args, **kwargs):
            if not args or isinstance(args[0], _PLAIN):
                name = getattr(self, "__name__", self.name)
                raise TypeError(
                    "a job type is called with a context first, as in a unit test:"
                    f" {name}(JobContext(), ...); to run it as a job: await {name}.submit(queue,"
                    " ...)"
                )
            return self.function(*args, **kwargs)

    def options(
        self,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Unique | None = None,
        connection: Any = None,
    ) -> JobType[P, R]:
        """This job type with options for a submission; see :meth:`JobBackend.submit`.

        >>> handlers = JobHandlers()
        >>> @handlers.job
        ... def scan(ctx: JobContext, root: str) -> int: ...
        >>> urgent = scan.options(timeout=20, key="/srv")
        """
        given = {
            "timeout": timeout,
            "key": key,
            "metadata": metadata,
            "delay": delay,
            "unique": unique,
            "connection": connection,
        }
        changed = copy.copy(self)
        changed._options = {
            **self._options,
            **{name: value for name, value in given.items() if value is not None},
        }
        return changed

    async def submit(self, queue: JobBackend, /, *args: P.args, **kwargs: P.kwargs) -> JobRef[R]:
        """Submit a job with these arguments, which type checkers check as the handler's.

        Raises what :meth:`JobBackend.submit` raises, and ``TypeError`` for too many
        positional arguments or one given twice.

        Raises:
            HandlerMismatchError: *queue* has another function under this name. A queue that
                only submits, for another process to run, needs the same registry as that one.
        """
        self._check_served_by(queue)
        payload = self._payload(args, kwargs)
        return JobRef(queue, await queue.submit(self.name, payload, **self._options))

    async def submit_many(
        self, queue: JobBackend, payloads: Iterable[Mapping[str, Any]]
    ) -> list[JobRef[R]]:
        """Submit a job for each of *payloads*, or none; see :meth:`JobBackend.submit_many`.

        Raises what :meth:`submit` raises, and ``TypeError`` for options that many jobs cannot
        share, such as a key.
        """
        self._check_served_by(queue)
        job_ids = await queue.submit_many(self.name, payloads, **self._options)
        return [JobRef(queue, job_id) for job_id in job_ids]

    def _check_served_by(self, queue: JobBackend) -> None:
        handlers = getattr(queue, "handlers", None)
        if isinstance(handlers, Registry):  # a stub has none
            handlers.check_serves(self)

    def _payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = self.form.positional
        if len(args) > len(names):
            raise TypeError(
                f"{self.name}.submit() takes at most {len(names)} positional arguments for the"
                f" handler, not {len(args)}"
            )
        payload = dict(zip(names, args))
        if twice := payload.keys() & kwargs.keys():
            raise TypeError(f"{self.name}.submit() got {', '.join(sorted(twice))} twice")
        return {**payload, **kwargs}

    def result_through_json(self, value: Any, limit: int | None = None) -> Any:
        """*value*, a handler's result, as it comes back from JSON of at most *limit* bytes.

        If the handler declares a type, the value is validated and must come back equal. If it
        declares none, or one that is only imported under ``TYPE_CHECKING``, the plain JSON comes
        back: a model as a dict.

        Raises:
            TypeError: the value is used up by its first reader, has no JSON, or is not of the
                type that the handler declares.
            ResultTooLargeError: its JSON is larger.
        """
        refuse_used_up(value)
        annotation = self.result_type
        try:
            codec = self._result_codec
            valid = codec.validate(value)
            text = codec.encode(valid)
            is_too_large = limit is not None and len(text) > limit
            decoded = None if is_too_large else codec.decode(text)
        except Exception as error:
            raise TypeError(self._not_kept(value, why_no_json(error, annotation))) from error
        if limit is not None and is_too_large:
            raise ResultTooLargeError(len(text), limit)
        if annotation is not Any and not same(valid, decoded):
            raise TypeError(self._not_kept(value, "it does not come back from JSON as it was"))
        return decoded

    def encode_result(self, value: Any) -> bytes:
        """A result of :meth:`result_through_json`, as JSON."""
        return self._result_codec.encode(value)

    def decode_result(self, text: bytes) -> Any:
        """A result from JSON; raises what pydantic raises if it no longer fits."""
        return self._result_codec.decode(text)

    def _not_kept(self, value: Any, why: str) -> str:
        return f"a result of type {type(value).__name__} cannot be kept as JSON: {why}"

    @functools.cached_property
    def _result_codec(self) -> Codec:
        return Codec(self.result_type, check=refuse_unsupported)

    @functools.cached_property
    def result_type(self) -> Any:
        """The return annotation of the handler; Any if there is no usable one."""
        try:
            annotation = signature_of(self.function).return_annotation
            return _awaited(resolve(self.function, annotation))
        except Exception:  # whatever evaluating a name can raise
            return Any

    def __repr__(self) -> str:
        return f"<JobType {self.name!r}>"


class AsyncJobType(JobType[P, R]):
    """A job type whose handler returns an awaitable, as a coroutine function does."""

    if TYPE_CHECKING:

        def __call__(
            self, context: JobContext, /, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R]: ...


class SyncJobType(JobType[P, R]):
    """A job type whose handler is a plain function, run in a thread."""

    if TYPE_CHECKING:

        def __call__(self, context: JobContext, /, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Registry:
    """Base of registries: which function each name stands for."""

    _types: MutableMapping[str, JobType[..., Any]]

    def check_serves(self, definition: JobType[..., Any]) -> None:
        """Raise if the name of *definition* stands for another function here.

        Raises:
            HandlerMismatchError: it does; a name that is not here raises nothing.
        """
        served = self._types.get(definition.name)
        if served is None or served is definition:
            return
        if not _is_same(served.function, definition.function):
            wanted, other = _named(definition.function), _named(served.function)
            raise HandlerMismatchError(definition.name, wanted, other)


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, MethodType) and isinstance(other, MethodType):  # new at each access
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other  # not ==, which a callable may define itself


def _named(function: Any) -> str:
    """*function* as an error names it: its module, its name, and where its code begins."""
    while isinstance(function, functools.partial):
        function = function.func
    known = function if hasattr(function, "__qualname__") else type(function)
    code = getattr(inspect.unwrap(function), "__code__", None)
    line = "" if code is None else f" (line {code.co_firstlineno})"
    return f"{known.__module__}.{known.__qualname__}{line}"


def _awaited(annotation: Any) -> Any:
    """What awaiting a value of this *annotation* gives; *annotation* if it is not awaitable."""
    if annotation is inspect.Signature.empty:
        return Any
    origin, members = get_origin(annotation), get_args(annotation)
    if origin in UNIONS:
        return Union[tuple(map(_awaited, members))]  # noqa: UP007 - of any number
    is_awaitable = inspect.isclass(origin) and issubclass(origin, Awaitable)
    return members[-1] if is_awaitable and members else annotation


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a job type must be text that is not empty, not {name!r}")
    if "\0" in name:
        raise ValueError(f"the name of job type {shown(name)} contains U+0000, {WHY_NO_NUL}")
    return name


def _grace(seconds: float | None, name: str) -> float | None:
    return None if seconds is None else check_finite(seconds, name)
