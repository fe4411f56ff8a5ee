"""The options of a job type, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import TypedDict

from .._model.backoff import Backoff
from .._payload.signature import is_async
from .._text import nearest_first

RetryOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool | float]
"""Which exceptions are retried: these types, or those for which a function says so."""


class JobTypeOptions(TypedDict, total=False):
    """The options of ``@handlers.job(...)``, which :meth:`JobHandlers.job` explains."""

    timeout: float | None
    retries: int
    retry_on: RetryOn
    backoff: Backoff
    cancel_grace: float | None
    timeout_grace: float | None
    concurrency: int | None
    keep_payload: bool
    cooperative: bool


def refuse_unknown(options: Mapping[str, Any]) -> None:
    """Refuse options that no job type has.

    Raises:
        TypeError: names them, and the options that there are.
    """
    known = JobTypeOptions.__annotations__.keys()
    if unknown := [name for name in options if name not in known]:
        has = ", ".join(nearest_first(unknown[0], [*known, "name", "replace"]))
        raise TypeError(f"a job type has no option {', '.join(unknown)}; it has {has}")


def checked_retries(name: str, retries: int) -> int:
    """How often an attempt that failed is followed by another.

    Raises:
        TypeError: it is not an int.
        ValueError: it is negative.
    """
    if isinstance(retries, bool) or not isinstance(retries, int):
        raise TypeError(f"handler {name!r}: retries must be an int, not {retries!r}")
    if retries < 0:
        raise ValueError(f"handler {name!r}: retries must not be negative: {retries}")
    return retries


def checked_concurrency(name: str, concurrency: int | None) -> int | None:
    """How many jobs of the type may run at once; None for no limit of its own.

    Raises:
        TypeError: it is not an int.
        ValueError: it is less than 1.
    """
    if concurrency is None:
        return None
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"handler {name!r}: concurrency must be an int, not {concurrency!r}")
    if concurrency < 1:
        raise ValueError(
            f"handler {name!r}: concurrency must be 1 or more, not {concurrency}; leave it out for"
            " no limit of its own"
        )
    return concurrency


def checked_retry_on(name: str, retry_on: Any, retries: int) -> Any:
    """What says whether an exception is retried.

    Raises:
        TypeError: it is neither exception types nor a function, or the function is ``async``.
        ValueError: there are no retries, so that it would have no effect.
    """
    if retry_on is not Exception:
        _refuse_without_retries(name, "retry_on", retries)
    kinds = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    if all(isinstance(kind, type) for kind in kinds):
        if kinds and all(issubclass(kind, Exception) for kind in kinds):
            return kinds
    elif callable(retry_on) and not is_async(retry_on):
        return retry_on
    raise TypeError(
        f"handler {name!r}: retry_on must be an exception type, a tuple of them, or a function of"
        " the exception, not async, that returns a bool or a number of seconds"
    )


def checked_backoff(name: str, backoff: Backoff | None, retries: int) -> Backoff:
    """The delays between attempts; None for the usual ones.

    Raises:
        TypeError: it is not a :class:`Backoff`.
        ValueError: there are no retries, so that it would have no effect.
    """
    if backoff is None:
        return USUAL_BACKOFF
    _refuse_without_retries(name, "backoff", retries)
    if isinstance(backoff, Backoff):
        return backoff
    kind = type(backoff).__name__
    raise TypeError(f"handler {name!r}: backoff must be a Backoff(...), not {kind}")


USUAL_BACKOFF = Backoff()


def _refuse_without_retries(name: str, option: str, retries: int) -> None:
    if not retries:
        raise ValueError(f"handler {name!r}: {option} has no effect without retries")


def checked_flag(name: str, option: str, value: bool) -> bool:
    """An option that is on or off.

    Raises:
        TypeError: it is not a bool.
    """
    if isinstance(value, bool):
        return value
    raise TypeError(f"handler {name!r}: {option} must be a bool, not {type(value).__name__}")
