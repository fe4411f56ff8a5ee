"""A handler's signature, as the form that payloads of its job type must have.

- The first parameter is the context's; all others are the payload's, by name.
- Annotations are resolved one by one. The context's and the return's are not needed at
  run time and may stand under ``TYPE_CHECKING``; a payload's must be reachable from the
  function's module or closure.
- What cannot serve is refused at registration, by the function's and parameter's name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ConfigDict, ValidationError, with_config
from typing_extensions import TypedDict, get_type_hints

from ._codec import Codec, same
from ._context import JobContext
from ._errors import InvalidPayloadError
from ._text import describe

# Where **payload goes; no parameter can have this name.
_OPEN = "**"

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class FrozenPayload(NamedTuple):
    """A payload that passed: what the handler is called with, and the same as JSON."""

    arguments: dict[str, Any]
    text: bytes


_EMPTY = FrozenPayload({}, b"{}")


class PayloadForm:
    """Checks, fills in, encodes and decodes the payloads of one job type."""

    def __init__(self, job_type: str, function: Callable[..., Any]) -> None:
        self._job_type = job_type
        parameters = _payload_parameters(job_type, function)
        self.positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self._fields = {_key(p): _annotation(job_type, function, p) for p in parameters}
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self._codec = self._build_codec()
        self._check_defaults()

    def freeze(self, payload: Mapping[str, Any]) -> FrozenPayload:
        """*payload* with defaults filled in, isolated from the caller.

        Raises:
            InvalidPayloadError: it does not fit, or does not survive JSON.
        """
        if not isinstance(payload, Mapping):
            kind = type(payload).__name__
            raise self._refusal("mapping_type", f"a payload maps names to values; this is {kind}")
        if not payload and not self._fields:
            return _EMPTY
        value = self._validate(payload)
        try:
            text = self._codec.encode(value)
            decoded = self._codec.decode(text)
            survived = all(same(value[name], decoded[name]) for name in value)
        except Exception as error:
            raise self._not_json(value) from error
        if not survived:
            raise self._not_json(value)
        return FrozenPayload(_opened(decoded), text)

    def thaw(self, text: bytes) -> dict[str, Any]:
        """The arguments in *text*, which :meth:`freeze` made, perhaps in another process.

        Raises:
            InvalidPayloadError: the handler's signature has changed since.
        """
        try:
            return _opened(self._codec.decode(text))
        except ValidationError as error:
            raise InvalidPayloadError(self._job_type, _details(error)) from error

    def _validate(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        given = {**self._defaults, **payload}
        if _OPEN in self._fields:
            known = {name: given.pop(name) for name in self._fields if name in given}
            given = {**known, _OPEN: given}
        try:
            value: dict[str, Any] = self._codec.validate(given)
        except ValidationError as error:
            raise InvalidPayloadError(self._job_type, _details(error)) from error
        except Exception as error:
            raise self._refusal("unusable", f"validating it raised {describe(error)}") from error
        return value

    def _build_codec(self) -> Codec:
        form: Any = TypedDict(self._job_type, self._fields)  # type: ignore[misc]
        try:
            return Codec(with_config(ConfigDict(extra="forbid"))(form))
        except Exception as error:
            raise TypeError(
                f"handler {self._job_type!r}: its parameters cannot travel as JSON:"
                f" {describe(error)}"
            ) from error

    def _check_defaults(self) -> None:
        for name, default in self._defaults.items():
            codec = Codec(self._fields[name])
            try:
                survives = _survives(codec, codec.validate(default))
            except Exception as error:
                raise TypeError(
                    f"handler {self._job_type!r}: the default of {name!r} does not fit its own"
                    f" type: {describe(error)}"
                ) from error
            if not survives:
                raise TypeError(
                    f"handler {self._job_type!r}: the default of {name!r} does not survive JSON"
                )

    def _not_json(self, value: dict[str, Any]) -> InvalidPayloadError:
        places = [
            place
            for name, annotation in self._fields.items()
            for place in _broken(name, annotation, value[name])
        ]
        problem = "does not come back from JSON as it was; annotate it more exactly or leave it out"
        return InvalidPayloadError(
            self._job_type,
            [{"type": "not_json", "loc": place, "msg": problem} for place in places or [()]],
        )

    def _refusal(self, kind: str, problem: str) -> InvalidPayloadError:
        return InvalidPayloadError(self._job_type, [{"type": kind, "loc": (), "msg": problem}])


def _broken(name: str, annotation: Any, value: Any) -> list[tuple[str, ...]]:
    """Where *value* does not survive JSON."""
    if _survives(Codec(annotation), value):
        return []
    if name != _OPEN:
        return [(name,)]
    return [(key,) for key, part in value.items() if not _survives(Codec(annotation), {key: part})]


def _survives(codec: Codec, value: Any) -> bool:
    try:
        return same(value, codec.decode(codec.encode(value)))
    except Exception:
        return False


def _opened(value: dict[str, Any]) -> dict[str, Any]:
    value.update(value.pop(_OPEN, {}))
    return value


def _details(error: ValidationError) -> list[dict[str, Any]]:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        {**detail, "loc": detail["loc"][1:] if detail["loc"][:1] == (_OPEN,) else detail["loc"]}
        for detail in details
    ]


def _key(parameter: inspect.Parameter) -> str:
    return _OPEN if parameter.kind is parameter.VAR_KEYWORD else parameter.name


def _payload_parameters(job_type: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters after the context's; refuses those that a payload cannot fill."""
    context, *payload = _all_parameters(job_type, function)
    _check_context(job_type, function, context)
    for parameter in payload:
        if parameter.kind not in (*_BY_NAME, parameter.VAR_KEYWORD):
            raise TypeError(
                f"handler {job_type!r}: {str(parameter).split(':')[0]!r} cannot be given by name,"
                " and a payload has names only"
            )
    return payload


def _all_parameters(job_type: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    if not callable(function):
        raise TypeError(f"handler {job_type!r} is not callable: {function!r}")
    code = _underlying(function)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise TypeError(f"handler {job_type!r} is a generator; a handler returns its result")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise TypeError(f"handler {job_type!r} has no first parameter to take the JobContext")
    return parameters


def _check_context(
    job_type: str, function: Callable[..., Any], parameter: inspect.Parameter
) -> None:
    if parameter.name in ("self", "cls"):
        raise TypeError(
            f"handler {job_type!r} is a method that is not bound yet: register it late, as"
            f" register({job_type!r}, instance.method)"
        )
    try:
        annotation = _annotation(job_type, function, parameter)
    except TypeError:
        return  # under TYPE_CHECKING, which is fine for the context
    if annotation is Any or not inspect.isclass(annotation):
        return
    if not issubclass(annotation, JobContext):
        raise TypeError(
            f"handler {job_type!r}: its first parameter, {parameter.name!r}, is annotated"
            f" {annotation.__name__}, but a handler is given its JobContext there"
        )


def _annotation(job_type: str, function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of one parameter, resolved; Any where there is none."""
    if parameter.annotation is parameter.empty:
        annotation: Any = Any
    else:
        annotation = _resolved(job_type, function, parameter.name, parameter.annotation)
    if parameter.kind is parameter.VAR_KEYWORD:
        return dict[str, annotation]
    return annotation


def _resolved(job_type: str, function: Callable[..., Any], name: str, annotation: Any) -> Any:
    try:
        return resolve(function, annotation)
    except Exception as error:
        raise TypeError(
            f"handler {job_type!r}: the annotation of {name!r}, {annotation!r}, cannot be resolved"
            f" at run time ({describe(error)}): import it at the top of the module, not under"
            " TYPE_CHECKING or inside a function"
        ) from error


def resolve(function: Callable[..., Any], annotation: Any) -> Any:
    """*annotation*, where it or a part of it is text, as *function*'s module means it."""
    code = _underlying(function)
    names = getattr(getattr(code, "__code__", None), "co_freevars", ())
    cells = getattr(code, "__closure__", None) or ()
    local = {name: cell.cell_contents for name, cell in zip(names, cells)}
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    hints = get_type_hints(holder, getattr(code, "__globals__", {}), local, include_extras=True)
    return hints["it"]


def _underlying(function: Any) -> Any:
    """The plain function behind partials, methods, wrappers and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling *function* gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - not a test for being callable
    )
