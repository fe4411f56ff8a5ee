"""The first parameter of a handler, which is for the context."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from .._payload.signature import UNIONS, all_parameters, annotation_of, written
from .context import JobContext


def check_first_parameter(job_type: str, function: Callable[..., Any]) -> None:
    """Refuse a handler that cannot receive its context.

    Raises:
        TypeError: there is no such parameter, or it is annotated as something else.
    """
    parameter, *_ = all_parameters(job_type, function)
    if parameter.name in ("self", "cls"):
        raise TypeError(
            f"handler {job_type!r} is a method that is not bound yet: register it late, as"
            f" register({job_type!r}, instance.method)"
        )
    try:
        annotation = annotation_of(job_type, function, parameter)
    except TypeError:
        return  # under TYPE_CHECKING, which is fine for the context
    if not _takes_context(annotation):
        raise TypeError(
            f"handler {job_type!r}: its first parameter, {parameter.name!r}, is annotated"
            f" {written(annotation)}, but a handler receives its JobContext there"
        )


def _takes_context(annotation: Any) -> bool:
    """Whether a parameter of this *annotation* may receive a JobContext."""
    if annotation in (Any, object) or isinstance(annotation, TypeVar):
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated or origin in UNIONS:
        return any(map(_takes_context, typing.get_args(annotation)))
    if not inspect.isclass(annotation):
        return False
    return issubclass(annotation, JobContext) or getattr(annotation, "_is_protocol", False)
