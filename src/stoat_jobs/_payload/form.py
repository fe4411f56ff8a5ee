"""The payloads of one job type: checked, filled in, and taken through JSON.

- Refusals name the field and never show its value, which may be a secret.
- What is plainly too large or too deep is refused before it is validated, and what turns
  out so, before it is decoded: both cost far more than looking.
- A refusal is as short for a million errors as for a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import GenericAlias
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from .._model.errors import InvalidPayloadError
from .._model.settings import JobQueueSettings
from .._text import ERROR_LIMIT, one_line, shown
from .codec import Codec, all_same, brief, depth_of, json_schema, same
from .signature import OPEN, UNIONS, read_signature, written
from .size_limits import NOT_JSON, Problem, excess, too_deep, too_large
from .unsupported_types import refuse_alias, refuse_dependency, refuse_stuck, remedy_for

_DEFAULTS = JobQueueSettings()
_PLACE_LIMIT = 200
_MOST_ERRORS = 100
# What is of one of these types is the same when it comes back from JSON, in a field of them...
_UNCHANGED = frozenset({bool, int, str, type(None)})
# ... except for an int of more digits, which is written and cannot be read.
_LONGEST_UNCHANGED = 4_300

Place = tuple[Any, ...]


@dataclass(slots=True)  # not a named tuple, which takes twice as long to make
class FrozenPayload:
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
        self._is_open = OPEN in self._fields
        self._is_plain = all(map(_is_plain, self._fields.values())) and not self._is_open
        self._check_fields()
        self._codec = Codec(self._typed_dict(), closed=True)

    def _typed_dict(self) -> Any:
        form: Any = TypedDict(one_line(self._job_type, _PLACE_LIMIT), self._fields)  # type: ignore[misc]
        return form

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the payloads that fit, as :meth:`freeze` takes them.

        Raises what pydantic raises for a type of which it knows none.
        """
        schema = json_schema(self._typed_dict())
        fields = schema["properties"]
        if OPEN in fields:
            schema["additionalProperties"] = fields.pop(OPEN)["additionalProperties"]
        schema["required"] = [name for name in fields if name not in self._defaults]
        for name, default in self._defaults.items():
            fields[name]["default"] = from_json(Codec(self._fields[name]).encode(default))
        return schema

    def freeze(
        self,
        payload: Mapping[str, Any],
        settings: JobQueueSettings = _DEFAULTS,
    ) -> FrozenPayload:
        """*payload* with defaults filled in, isolated from the caller.

        Raises:
            InvalidPayloadError: it does not fit, does not survive JSON, or its JSON is larger or
                deeper than *settings* allow.
        """
        if type(payload) is dict and not payload and not self._fields:
            return _EMPTY
        plain = self._read(payload, settings)
        given = self._arranged(plain) if self._is_open else plain
        value = self._checked(self._codec.validate, given, given)
        text = self._encoded(value)
        self._check_text(text, value, settings)
        if not self._is_unchanged(value, text):
            value = _opened(self._survivor(value, text))
        return FrozenPayload(value, text)

    def _is_unchanged(self, value: dict[str, Any], text: bytes) -> bool:
        """Whether decoding *text* is known to give *value*; it takes a quarter of a submit."""
        return (
            self._is_plain
            and len(text) <= _LONGEST_UNCHANGED
            and _UNCHANGED.issuperset(map(type, value.values()))
        )

    def thaw(self, text: bytes) -> dict[str, Any]:
        """The arguments in *text*, which :meth:`freeze` made, perhaps in another process.

        Raises:
            InvalidPayloadError: it does not fit the handler any more.
        """
        return _opened(self._checked(self._codec.decode, text, {}))

    def _read(self, payload: Mapping[str, Any], settings: JobQueueSettings) -> dict[str, Any]:
        """*payload* and the defaults it leaves."""
        if not isinstance(payload, (dict, Mapping)):  # the first is the faster question
            kind = type(payload).__name__
            problem = f"a payload maps names to values; this is {kind}"
            raise self._refusal(Problem("mapping_type", problem))
        try:
            plain = {**self._defaults, **payload}
            too_much = excess(plain, settings)
        except Exception as error:  # a mapping of the caller's own, or changed by another thread
            problem = f"reading it raised {type(error).__name__}"
            raise self._refusal(Problem("unusable", problem)) from error
        if too_much is not None:
            raise self._refusal(too_much, _exceeding(plain, settings))
        return plain

    def _check_text(self, text: bytes, value: dict[str, Any], settings: JobQueueSettings) -> None:
        if len(text) > settings.max_payload_bytes:
            raise self._refusal(too_large(str(len(text)), settings))
        limit = settings.max_payload_depth
        if len(text) <= 2 * limit:  # each level has two brackets
            return
        if text.count(b"[") + text.count(b"{") <= limit or depth_of(text) <= limit:
            return
        if places := self._deeper_than(limit, value):
            raise self._refusal(too_deep(settings), places)

    def _deeper_than(self, limit: int, value: dict[str, Any]) -> list[Place]:
        def is_deeper(codec: Codec, part: dict[str, Any]) -> bool:
            # The open part's own level is not in the payload.
            return depth_of(codec.encode(part)) - (OPEN in part) > limit

        return list(self._places(value, is_deeper))

    def _arranged(self, given: dict[str, Any]) -> dict[str, Any]:
        """*given* by field."""
        if taken := [(name,) for name in given if name in self._reserved]:
            problem = Problem("reserved", "is the handler's own, not the payload's")
            raise self._refusal(problem, taken)
        known = {name: given.pop(name) for name in self._fields if name in given and name != OPEN}
        return {**known, OPEN: given}

    def _encoded(self, value: dict[str, Any]) -> bytes:
        try:
            return self._codec.encode(value)
        except Exception as error:
            raise self._refusal(NOT_JSON, self._places(value, _is_lost)) from error

    def _survivor(self, value: dict[str, Any], text: bytes) -> dict[str, Any]:
        """*value* as it comes back from *text*."""
        try:
            decoded: dict[str, Any] = self._codec.decode(text)
            survived = all_same([(part, decoded[name]) for name, part in value.items()])
        except Exception as error:
            raise self._refusal(NOT_JSON, self._places(value, _is_lost)) from error
        if not survived:
            raise self._refusal(NOT_JSON, self._places(value, _is_lost))
        return decoded

    def _checked(
        self, check: Callable[[Any], dict[str, Any]], value: Any, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What *check* makes of *value*, which has the fields *given*."""
        try:
            return check(value)
        except ValidationError as error:
            if (count := error.error_count()) <= _MOST_ERRORS:
                raise InvalidPayloadError(self._job_type, _details(error)) from error
            problem = Problem("too_many_errors", f"has {count} errors")
            places = tuple(self._places(given, _is_refused))
        except Exception as error:  # a validator of the user's own
            problem = Problem("unusable", f"validating it raised {type(error).__name__}")
            raise self._refusal(problem, self._places(given, _breaks_down)) from error
        raise self._refusal(problem, places)  # not with all those errors as its cause

    def _check_fields(self) -> None:
        """Refuse annotations that have no JSON, and defaults that do not fit their own."""
        for name, annotation in self._fields.items():
            try:
                refuse_alias(annotation)
                refuse_dependency(annotation, self._defaults.get(name))
                codec = Codec(annotation, check=refuse_stuck)
            except Exception as error:
                shown = f"{name}payload" if name == OPEN else name
                raise TypeError(
                    f"handler {self._job_type!r}: {shown!r} cannot travel as JSON:"
                    f" {why_no_json(error, annotation)}"
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

    def _places(
        self, value: Mapping[str, Any], is_wrong: Callable[[Codec, Any], bool]
    ) -> Iterator[Place]:
        """Each field of *value*, and each name in its open part, that *is_wrong* by itself."""
        for field, annotation in self._fields.items():
            codec = Codec(GenericAlias(dict, (str, annotation)))
            if field == OPEN:
                yield from (
                    (name,)
                    for name, part in value[OPEN].items()
                    if is_wrong(codec, {OPEN: {name: part}})
                )
            elif field in value and is_wrong(codec, {field: value[field]}):
                yield (field,)

    def _refusal(self, problem: Problem, places: Iterable[Place] = ()) -> InvalidPayloadError:
        try:
            shown = [_shown(place) for place in islice(places, _MOST_ERRORS)]
        except Exception:  # a name of the caller's own kind, which fails when it is looked up
            shown = []
        return InvalidPayloadError(
            self._job_type,
            [{"type": problem.type, "loc": place, "msg": problem.msg} for place in shown or [()]],
        )


def _exceeding(payload: dict[str, Any], settings: JobQueueSettings) -> Iterator[Place]:
    """The names in *payload* that are too much by themselves."""
    return ((name,) for name, part in payload.items() if excess({name: part}, settings))


def _is_plain(annotation: Any) -> bool:
    """Whether it is of no other types than :data:`_UNCHANGED`."""
    members = get_args(annotation) if get_origin(annotation) in UNIONS else (annotation,)
    # Not by its hash: what stands in Annotated may have none.
    return all(any(member is kind for kind in _UNCHANGED) for member in members)


def why_no_json(error: Exception, annotation: Any) -> str:
    """What *error* says of *annotation*, for which there is no codec."""
    why = written(brief(error))
    if isinstance(error, PydanticSchemaGenerationError):
        # What pydantic says next is for models, and would be of no help here.
        return f"{why.partition('. Set ')[0]}: {remedy_for(annotation)}"
    return why


def _survives(codec: Codec, value: Any) -> bool:
    try:
        return same(value, codec.decode(codec.encode(value)))
    except Exception:
        return False


def _is_lost(codec: Codec, value: Any) -> bool:
    return not _survives(codec, value)


def _is_refused(codec: Codec, value: Any) -> bool:
    try:
        codec.validate(value)
    except Exception:
        return True
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
    if OPEN not in value:
        return value
    more = value.pop(OPEN)
    return {**value, **more}


def _details(error: ValidationError) -> list[dict[str, Any]]:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [{**detail, "loc": _shown(detail["loc"]), "msg": _message(detail)} for detail in details]


def _message(detail: Any) -> str:
    text: str = detail["msg"]
    if detail["type"] == "union_tag_invalid":  # says the tag that it was given
        text = "Input tag found using " + text.rpartition(" found using ")[2]
    return one_line(text, ERROR_LIMIT)


def _shown(place: Place) -> Place:
    """*place* as errors name it: without our own field, and safe to print."""
    if place[:1] == (OPEN,):
        place = place[1:]
    return tuple(map(_shown_part, place))


def _shown_part(part: Any) -> str | int:
    if isinstance(part, str):
        return one_line(str.__str__(part), _PLACE_LIMIT)
    return part if type(part) is int and part.bit_length() < 64 else shown(part)
