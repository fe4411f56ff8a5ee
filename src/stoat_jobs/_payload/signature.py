"""Read from a handler's signature which payloads its job type accepts.

- The first parameter is for the context; all others are for the payload, by name.
- Annotations are resolved one by one, as lazily as Python evaluates them. Those of the context
  and of the result are not needed at run time, so their imports may stand under
  ``TYPE_CHECKING``. Those of the payload must be reachable from the function's module or
  closure.
- A signature that cannot be used is refused with an error that names handler and parameter.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ForwardRef, NamedTuple

from pydantic.fields import FieldInfo
from typing_extensions import Unpack, get_type_hints

from .._text import describe

# The field of a handler's **payload; no parameter can have this name.
OPEN = "**"

_FORWARD_REF = re.compile(r"""ForwardRef\((['"])(.*?)\1(?:, [^()]*)?\)""")

# Before Python 3.12, typing_extensions has an Unpack of its own.
_UNPACK = (Unpack, getattr(typing, "Unpack", Unpack))

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
UNIONS = (typing.Union, types.UnionType)


if sys.version_info >= (3, 14):
    from annotationlib import Format

    # A name in an annotation may not be defined yet, or never at run time.
    signature_of = functools.partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    signature_of = inspect.signature


class PayloadSignature(NamedTuple):
    """The payload's part of a signature.

    ``positional`` are the names that may be given by position, in order. ``reserved`` are the
    names that ``**payload`` cannot contain because the function has parameters of these names.
    """

    annotations: dict[str, Any]
    defaults: dict[str, Any]
    positional: list[str]
    reserved: frozenset[str]


def read_signature(job_type: str, function: Callable[..., Any]) -> PayloadSignature:
    """The payload's part of *function*'s signature.

    Raises:
        TypeError: it cannot be a handler; the message says why.
    """
    _, *payload = all_parameters(job_type, function)
    for parameter in payload:
        _check_parameter(job_type, parameter)
    names = [p.name for p in payload if p.kind in _BY_NAME]
    return PayloadSignature(
        annotations={_key(p): annotation_of(job_type, function, p) for p in payload},
        defaults={p.name: p.default for p in payload if p.default is not p.empty},
        positional=[p.name for p in payload if p.kind is p.POSITIONAL_OR_KEYWORD],
        reserved=_named_parameters(function) - frozenset(names),
    )


def _key(parameter: inspect.Parameter) -> str:
    return OPEN if parameter.kind is parameter.VAR_KEYWORD else parameter.name


def _named_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """The names of all keyword arguments of the plain function behind *function*."""
    parameters = signature_of(_underlying(function)).parameters.values()
    return frozenset(p.name for p in parameters if p.kind in _BY_NAME)


def all_parameters(job_type: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of *function*; the first one is for the context.

    Raises:
        TypeError: it has none, or is not a function that returns its result.
    """
    if not callable(function):
        raise TypeError(f"handler {job_type!r} is not callable: {function!r}")
    code = _underlying(function)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise TypeError(f"handler {job_type!r} is a generator; a handler returns its result")
    try:
        parameters = list(signature_of(function).parameters.values())
    except Exception as error:  # whatever evaluating an annotation can raise
        raise TypeError(
            f"handler {job_type!r} has no readable signature: {describe(error)}"
        ) from error
    if not parameters or parameters[0].kind not in _POSITIONAL:
        raise TypeError(f"handler {job_type!r} has no first parameter for the JobContext")
    return parameters


def _check_parameter(job_type: str, parameter: inspect.Parameter) -> None:
    if parameter.kind not in (*_BY_NAME, parameter.VAR_KEYWORD):
        raise TypeError(
            f"handler {job_type!r}: {str(parameter).split(':')[0]!r} cannot be given by name,"
            " and a payload has names only"
        )
    if isinstance(parameter.default, FieldInfo):
        raise TypeError(
            f"handler {job_type!r}: the default of {parameter.name!r} is a Field(...), which a"
            " plain call would pass to the function; write Annotated[..., Field(...)] = default"
        )


def annotation_of(job_type: str, function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The resolved annotation of one parameter; ``Any`` if it has none."""
    annotation: Any = Any
    if parameter.annotation is not parameter.empty:
        annotation = _resolved(job_type, function, parameter.name, parameter.annotation)
    if parameter.kind is parameter.VAR_KEYWORD:
        if typing.get_origin(annotation) in _UNPACK:
            raise TypeError(
                f"handler {job_type!r}: '**{parameter.name}' is unpacked from a TypedDict, which"
                " is not supported: make each key a parameter, or the TypedDict one parameter"
            )
        return dict[str, annotation]
    return annotation


def _resolved(job_type: str, function: Callable[..., Any], name: str, annotation: Any) -> Any:
    try:
        return resolve(function, annotation)
    except Exception as error:
        raise TypeError(
            f"handler {job_type!r}: the annotation of {name!r}, {written(annotation)!r}, cannot be"
            f" resolved at run time ({describe(error)}): import it at the top of the module, not"
            " under TYPE_CHECKING or inside a function"
        ) from error


def resolve(function: Callable[..., Any], annotation: Any) -> Any:
    """*annotation* with strings in it resolved in *function*'s module and closure."""
    code = _underlying(function)
    # Since Python 3.14, names that only annotations use are in a closure of the annotations.
    local = {**_enclosing(getattr(code, "__annotate__", None)), **_enclosing(code)}
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    hints = get_type_hints(holder, getattr(code, "__globals__", {}), local, include_extras=True)
    resolved = hints["it"]
    for unknown in _unknown_metadata(resolved):
        raise NameError(f"{unknown.__forward_arg__!r} is not defined")
    return resolved


def _enclosing(function: Any) -> dict[str, Any]:
    """The variables that *function* uses from enclosing functions, if they have values yet."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or ()):
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _unknown_metadata(annotation: Any) -> Iterator[ForwardRef]:
    """Strings inside Annotated that were not resolved; pydantic would silently ignore them."""
    for part in typing.get_args(annotation):
        if isinstance(part, ForwardRef):
            yield part
        else:
            yield from _unknown_metadata(part)


def written(annotation: Any) -> str:
    """*annotation* as it is written in the source, or nearly so.

    >>> written(list[ForwardRef("Later")])
    'list[Later]'
    """
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _FORWARD_REF.sub(r"\2", text)


def _underlying(function: Any) -> Any:
    """The plain function behind partials, methods, wrappers and callable objects."""
    function = inspect.unwrap(_without_partial(function))
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _without_partial(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def is_async(function: Callable[..., Any]) -> bool:
    """Whether *function* returns a coroutine."""
    plain = _without_partial(function)
    return inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(
        getattr(plain, "__call__", None)  # noqa: B004 - not a test for being callable
    )
