"""The payloads of one job type: checked, filled in, and taken through JSON.

Refusals name the field and never show its value, which may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import GenericAlias
from typing import Any, NamedTuple

from pydantic import ValidationError
from typing_extensions import TypedDict

from ._codec import Codec, brief, same
from ._errors import InvalidPayloadError
from ._signature import OPEN, read_signature
from ._text import one_line

_PLACE_LIMIT = 200
_NOT_JSON = "does not come back from JSON as it was; annotate it more exactly or leave it out"

Place = tuple[Any, ...]


class FrozenPayload(NamedTuple):
    """A payload that passed: what the handler is called with, and the same as JSON."""

    arguments: dict[str, Any]
    text: bytes


_EMPTY = FrozenPayload({}, b"{}")


class PayloadForm:
    """What the payloads of one job type must be."""

    def __init__(self, job_type: str, function: Callable[..., Any]) -> None:
        self._job_type = job_type
        signature = read_signature(job_type, function)
        self.positional = signature.positional
        self._fields = signature.annotations
        self._defaults = signature.defaults
        self._reserved = signature.reserved
        self._check_fields()
        form: Any = TypedDict(one_line(job_type, _PLACE_LIMIT), self._fields)  # type: ignore[misc]
        self._codec = Codec(form, closed=True)

    def freeze(self, payload: Mapping[str, Any]) -> FrozenPayload:
        """*payload* with defaults filled in, isolated from the caller.

        Raises:
            InvalidPayloadError: it does not fit, or does not survive JSON.
        """
        if not isinstance(payload, Mapping):
            kind = type(payload).__name__
            problem = f"a payload maps names to values; this is {kind}"
            raise self._refusal("mapping_type", problem, [()])
        if not payload and not self._fields:
            return _EMPTY
        given = self._gathered(payload)
        value = self._checked(self._codec.validate, given, given)
        try:
            text = self._codec.encode(value)
            decoded = self._codec.decode(text)
            survived = all(same(value[name], decoded[name]) for name in value)
        except Exception as error:
            raise self._refusal("not_json", _NOT_JSON, self._not_json(value)) from error
        if not survived:
            raise self._refusal("not_json", _NOT_JSON, self._not_json(value))
        return FrozenPayload(_opened(decoded), text)

    def thaw(self, text: bytes) -> dict[str, Any]:
        """The arguments in *text*, which :meth:`freeze` made, perhaps in another process.

        Raises:
            InvalidPayloadError: it does not fit the handler any more.
        """
        return _opened(self._checked(self._codec.decode, text, {}))

    def _gathered(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """*payload* and the defaults it leaves, by field."""
        given = {**self._defaults, **payload}
        if OPEN not in self._fields:
            return given
        if taken := [(name,) for name in given if name in self._reserved]:
            raise self._refusal("reserved", "is the handler's own, not the payload's", taken)
        known = {name: given.pop(name) for name in self._fields if name in given and name != OPEN}
        return {**known, OPEN: given}

    def _checked(
        self, check: Callable[[Any], dict[str, Any]], value: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What *check* makes of *value*, which has the fields *given*."""
        try:
            return check(value)
        except ValidationError as error:
            raise InvalidPayloadError(self._job_type, _details(error)) from error
        except Exception as error:  # a validator of the user's own
            problem = f"validating it raised {type(error).__name__}"
            raise self._refusal("unusable", problem, self._raising(given)) from error

    def _check_fields(self) -> None:
        """Refuse annotations that have no JSON, and defaults that do not fit their own."""
        for name, annotation in self._fields.items():
            try:
                codec = Codec(annotation)
            except Exception as error:
                shown = f"{name}payload" if name == OPEN else name
                raise TypeError(
                    f"handler {self._job_type!r}: {shown!r} cannot travel as JSON: {brief(error)}"
                ) from error
            if name in self._defaults:
                self._check_default(name, codec, self._defaults[name])

    def _check_default(self, name: str, codec: Codec, default: Any) -> None:
        try:
            problem = "" if _survives(codec, codec.validate(default)) else "does not survive JSON"
        except Exception as error:
            problem = f"does not fit its own type: {brief(error)}"
        if problem:
            raise TypeError(f"handler {self._job_type!r}: the default of {name!r} {problem}")

    def _not_json(self, value: Mapping[str, Any]) -> list[Place]:
        """Where *value*, which is valid, does not survive JSON."""
        return [
            place
            for place, annotation, part in self._parts(value)
            if not _survives(Codec(GenericAlias(dict, (str, annotation))), {"": part})
        ]

    def _raising(self, given: Mapping[str, Any]) -> list[Place]:
        """Where validation breaks down on *given*."""
        return [
            place
            for place, annotation, part in self._parts(given)
            if _breaks_down(Codec(annotation), part)
        ]

    def _parts(self, value: Mapping[str, Any]) -> list[tuple[Place, Any, Any]]:
        """Place, annotation and value of each field, and of each key of an open payload."""
        parts: list[tuple[Place, Any, Any]] = []
        for name, annotation in self._fields.items():
            if name == OPEN:
                parts += [((key,), annotation, {key: part}) for key, part in value[OPEN].items()]
            elif name in value:
                parts.append(((name,), annotation, value[name]))
        return parts

    def _refusal(self, kind: str, problem: str, places: list[Place]) -> InvalidPayloadError:
        return InvalidPayloadError(
            self._job_type,
            [{"type": kind, "loc": _shown(place), "msg": problem} for place in places or [()]],
        )


def _survives(codec: Codec, value: Any) -> bool:
    try:
        return same(value, codec.decode(codec.encode(value)))
    except Exception:
        return False


def _breaks_down(codec: Codec, value: Any) -> bool:
    try:
        codec.validate(value)
    except ValidationError:
        return False
    except Exception:
        return True
    return False


def _opened(value: dict[str, Any]) -> dict[str, Any]:
    more = value.pop(OPEN, {})
    return {**value, **more}


def _details(error: ValidationError) -> list[dict[str, Any]]:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [{**detail, "loc": _shown(detail["loc"])} for detail in details]


def _shown(place: Place) -> Place:
    """*place* as errors name it: without our own field, and safe to print."""
    if place[:1] == (OPEN,):
        place = place[1:]
    return tuple(one_line(part, _PLACE_LIMIT) if isinstance(part, str) else part for part in place)
