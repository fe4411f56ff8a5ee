"""How a queue is configured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from .._text import SHOWN_LIMIT, one_line
from .metadata import METADATA_LIMIT

T = TypeVar("T")

_HIDDEN = "(hidden)"


class _Hidden:
    """Stands for a value that may be a secret."""

    def __repr__(self) -> str:
        return _HIDDEN


_SHORT = frozenset({bool, float, int, type(None)})

# pydantic's parser follows 200 levels, its models a few more.
_DEEPEST = 128

Limit = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


def without_input(error: ValidationError, title: str, *place: str) -> ValidationError:
    """*error* without the values that may be secrets; its locations begin with *place*."""
    return ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(
                type=PydanticCustomError(detail["type"], "{text}", {"text": _message(detail)}),
                loc=(*place, *map(_one_line, detail["loc"])),
                input=_brief(detail["input"]) if _is_harmless(*place, *detail["loc"]) else _HIDDEN,
            )
            for detail in error.errors(include_url=False)
        ],
    )


def _message(detail: ErrorDetails) -> str:
    """What is wrong, without the input that some messages repeat."""
    text, context = detail["msg"], detail.get("ctx", {})
    for value in (context.get("error"), context.get("tag")):
        if isinstance(value, str):
            text = text.replace(value, _HIDDEN)
    return text


def _one_line(part: int | str) -> int | str:
    return one_line(part, SHOWN_LIMIT) if isinstance(part, str) else part


def _brief(value: Any) -> Any:
    """*value*, which the error's text will show, unless that could take for ever."""
    if isinstance(value, str):
        return str.__getitem__(value, slice(SHOWN_LIMIT))
    return value if type(value) in _SHORT else f"({type(value).__name__})"


def _is_harmless(field: Any = None, *_: Any) -> bool:
    """Whether the error is about a known field that holds no secret."""
    return field in JobQueueSettings.model_fields and field not in ("url", "options")


class JobQueueSettings(BaseModel, frozen=True, extra="forbid"):
    """Settings of a queue, the same for every backend.

    A plain model, so that an app nests it in its own settings and sets
    ``JOBS__BACKEND=asyncio`` in the environment.

    >>> JobQueueSettings(timeout=60).timeout
    60.0

    ``url`` and the values of ``options`` may be secrets, so no ``repr`` and no error contains
    them. ``model_dump()`` does.

    Raises:
        pydantic.ValidationError: a ``ValueError`` that names the field.
    """

    backend: str = Field(
        default="asyncio",
        min_length=1,
        description="Name of an installed backend. Use `memory` in tests, `asyncio` in an app.",
    )
    url: str | None = Field(
        default=None,
        repr=False,
        description="Where the engine is, for backends that have one; kept out of repr and errors.",
    )
    concurrency: Count = Field(
        default=1,
        description="Slots. 1 runs jobs one after another; use more if jobs mostly wait.",
    )
    timeout: Limit = Field(
        default=300.0,
        description="Seconds a job may run from its start, with all attempts; `inf` for no limit.",
    )
    drain_timeout: Seconds = Field(
        default=5.0,
        description="Seconds that running jobs get to finish at shutdown. Keep this plus twice"
        " the longest cancel_grace below the time that your server or orchestrator allows.",
    )
    cancel_grace: Seconds = Field(
        default=1.0,
        description="Seconds a handler gets to clean up once told to stop; then it is cut off. A"
        " job type may have its own.",
    )
    loop_block_limit: Seconds = Field(
        default=1.0,
        description="Seconds an async handler may block the event loop before the log names it;"
        " 0 turns the watch off.",
    )
    max_pending: Count = Field(
        default=10_000, description="Jobs that may wait; one more raises QueueFullError."
    )
    max_payload_bytes: Count = Field(
        default=1_048_576,
        description="Bytes that a payload's JSON may have. Raise it only if no file or object store"
        " can hold the data: submit() reads it all on the event loop.",
    )
    max_payload_depth: Annotated[int, Field(gt=0, le=_DEEPEST)] = Field(
        default=64,
        description="Levels of nesting in a payload's JSON; the payload itself is the first."
        f" At most {_DEEPEST}.",
    )
    max_metadata_bytes: Count = Field(
        default=METADATA_LIMIT,
        description="Bytes that a job's metadata may have as JSON, with all that its handler adds.",
    )
    max_result_bytes: Count = Field(
        default=16_777_216,
        description="Bytes that a result's JSON may have on backends that keep results as JSON;"
        " with a larger one the job fails. Return the path of a large result instead.",
    )
    result_ttl: Limit = Field(
        default=3600.0,
        description="Seconds a record is kept after its job has finished; `inf` for ever.",
    )
    max_results: Count = Field(
        default=10_000,
        description="How many finished records are kept; the oldest is dropped first.",
    )
    options: dict[str, Any] = Field(
        default={},
        description="For one backend, which checks them itself; their values are kept out of"
        " repr and errors.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _hide_input(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        # Not hide_input_in_errors: an app's own settings, in which these nest, would show it.
        try:
            return validate(value)
        except ValidationError as error:
            hidden = without_input(error, cls.__name__)
        except Exception as error:  # the caller's own mapping
            kind = PydanticCustomError("unusable", f"reading it raised {type(error).__name__}")
            details = InitErrorDetails(type=kind, input=_HIDDEN)
            hidden = ValidationError.from_exception_data(cls.__name__, [details])
        raise hidden  # out here, so that no chain of causes leads to what it hides

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, _names_only(value) if name == "options" else value


def _names_only(options: Any) -> Any:
    return dict.fromkeys(options, _Hidden()) if isinstance(options, dict) else _Hidden()


def required(kind: type[T], value: T | None, name: str) -> T:
    """*value*, or a new *kind* if it is None.

    Raises:
        TypeError: it is of another type.
    """
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


def as_seconds(given: float, name: str) -> float:
    """*given*, a number of seconds, as a float; *name* is what an error calls it.

    Raises:
        TypeError: it is not a number.
        ValueError: it is an int that no float can hold.
    """
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(given).__name__}")
    try:
        return float(given)
    except Exception as error:
        raise ValueError(f"{name} must fit a float; math.inf means no limit") from error


def check_finite(given: float, name: str) -> float:
    """*given*, a number of seconds from 0, as a float; *name* is what an error calls it.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, infinite or NaN.
    """
    seconds = as_seconds(given, name)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{name} must be a finite number of seconds from 0, not {seconds:g}")
    return seconds


def check_timeout(timeout: float) -> float:
    """*timeout*, a job's time limit in seconds, as a float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is 0, negative or NaN, or an int that no float can hold.
    """
    seconds = as_seconds(timeout, "timeout")
    if not seconds > 0:
        raise ValueError(
            f"timeout must be more than 0 seconds, not {seconds:g}; math.inf means no limit"
        )
    return seconds
