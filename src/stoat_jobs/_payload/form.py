"""The payloads of one job type: validated, completed with defaults, encoded as JSON.

- An error names the field and never shows its value, which may be a secret.
- A payload that is clearly too large or too deep is refused before it is validated. One that
  proves so once it is encoded is refused before it is decoded. Validating and decoding cost
  far more than these checks.
- Every payload arrives as if it had been encoded and decoded. One of short plain values is
  known to come back the same, so that is done only on request.
- An error is never longer than for a hundred problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import GenericAlias
from typing import Any

from pydantic import ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import from_json
from typing_extensions import TypedDict

from .._model.errors import InvalidPayloadError
from .._model.settings import JobQueueSettings
from .._text import ERROR_LIMIT, one_line, shown
from .codec import Codec, all_same, brief, depth_of, json_schema, same
from .frozen import FrozenPayload, KeptPayload
from .plain import comes_back_unchanged, is_plain_field, is_plain_payload, most_bytes_of_names
from .signature import OPEN, read_signature, written
from .size_limits import NOT_JSON, Problem, find_oversize, find_oversize_json
from .unsupported_types import refuse_alias, refuse_dependency, refuse_unsupported, remedy_for

_DEFAULTS = JobQueueSettings()
_PLACE_LIMIT = 200
_MOST_ERRORS = 100

Place = tuple[Any, ...]


class PayloadForm:
    """Validates the payloads of one job type, encodes and decodes them.

    Attributes:
        payload_type: :class:`KeptPayload` if payloads stay on the records of their jobs.
    """

    def __init__(self, job_type: str, function: Callable[..., Any], *, keep: bool = False) -> None:
        self._job_type = job_type
        signature = read_signature(job_type, function)
        self.positional: list[str] = signature.positional
        self._fields = signature.annotations
        self._defaults = signature.defaults
        self._reserved = signature.reserved
        self._is_open = OPEN in self._fields
        self._is_plain = all(map(is_plain_field, self._fields.values())) and not self._is_open
        self._most_bytes_of_names = most_bytes_of_names(list(self._fields))
        self._check_fields()
        self._codec = Codec(self._typed_dict(), closed=True)
        self._encode = self._codec.encode
        self.payload_type: type[FrozenPayload] = KeptPayload if keep else FrozenPayload
        self._empty = self.payload_type({}, b"{}")

    def _typed_dict(self) -> Any:
        form: Any = TypedDict(one_line(self._job_type, _PLACE_LIMIT), self._fields)  # type: ignore[misc]
        return form

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of the payloads that :meth:`freeze` accepts.

        Raises what pydantic raises for a type that has no JSON Schema.
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
        """A copy of *payload* with defaults filled in, isolated from the caller.

        Raises:
            InvalidPayloadError: it does not fit the handler, does not come back from JSON as it
                was, or is larger or deeper as JSON than *settings* allow.
        """
        if type(payload) is dict and not payload and not self._fields:
            return self._empty
        given = self._read(payload)
        room = settings.max_payload_bytes - self._most_bytes_of_names
        is_plain = self._is_plain and is_plain_payload(given, room)
        if not is_plain:
            self._refuse_oversize_values(given, settings)
        if self._is_open:
            given = self._arranged(given)
        value = self._checked(self._codec.validate, given, given)
        if is_plain and value == given:
            return self.payload_type(value, self._encode)
        return self._through_json(value, settings)

    def _through_json(self, value: dict[str, Any], settings: JobQueueSettings) -> FrozenPayload:
        """The validated *value* as it comes back from JSON."""
        text = self._encoded(value)
        if (oversize := find_oversize_json(text, settings)) is not None:
            self._refuse_oversize(oversize, value, settings)
        if not (self._is_plain and comes_back_unchanged(value, text)):
            value = _opened(self._survivor(value, text))
        return self.payload_type(value, text)

    def thaw(self, text: bytes) -> dict[str, Any]:
        """The arguments in *text*, which :meth:`freeze` made, perhaps in another process.

        Raises:
            InvalidPayloadError: it does not fit the handler any more.
        """
        return _opened(self._checked(self._codec.decode, text, {}))

    def restore(self, text: bytes) -> FrozenPayload:
        """The payload that :meth:`freeze` made, from its *text*, perhaps in another process.

        Raises:
            InvalidPayloadError: it does not fit the handler any more.
        """
        return self.payload_type(self.thaw(text), text)

    def _read(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of *payload*, with the defaults of what it leaves out."""
        if not isinstance(payload, (dict, Mapping)):  # dict first: it is the faster check
            kind = type(payload).__name__
            problem = f"a payload maps names to values; this is {kind}"
            raise self._refusal(Problem("mapping_type", problem))
        try:
            return {**self._defaults, **payload}
        except Exception as error:  # a mapping of the caller's own, or changed by another thread
            raise self._unreadable(error) from error

    def _refuse_oversize_values(self, given: dict[str, Any], settings: JobQueueSettings) -> None:
        try:
            oversize = find_oversize(given, settings)
        except Exception as error:  # a container was changed by another thread
            raise self._unreadable(error) from error
        if oversize is not None:
            raise self._refusal(oversize, _oversized_fields(given, settings))

    def _unreadable(self, error: Exception) -> InvalidPayloadError:
        return self._refusal(Problem("unusable", f"reading it raised {type(error).__name__}"))

    def _refuse_oversize(
        self, oversize: Problem, value: dict[str, Any], settings: JobQueueSettings
    ) -> None:
        if oversize.type == "too_large":
            raise self._refusal(oversize)
        if places := self._deeper_than(settings.max_payload_depth, value):
            raise self._refusal(oversize, places)

    def _deeper_than(self, limit: int, value: dict[str, Any]) -> list[Place]:
        def is_deeper(codec: Codec, part: dict[str, Any]) -> bool:
            # In a payload, the names of the open part are not a level of their own.
            return depth_of(codec.encode(part)) - (OPEN in part) > limit

        return list(self._places(value, is_deeper))

    def _arranged(self, given: dict[str, Any]) -> dict[str, Any]:
        """*given* by field; what has no field of its own goes into the open part."""
        if reserved := [(name,) for name in given if name in self._reserved]:
            problem = Problem("reserved", "is the handler's own, not the payload's")
            raise self._refusal(problem, reserved)
        known = {name: given.pop(name) for name in self._fields if name in given and name != OPEN}
        return {**known, OPEN: given}

    def _encoded(self, value: dict[str, Any]) -> bytes:
        try:
            return self._codec.encode(value)
        except Exception as error:
            raise self._refusal(NOT_JSON, self._places(value, _is_lost)) from error

    def _survivor(self, value: dict[str, Any], text: bytes) -> dict[str, Any]:
        """*value* as decoded from *text*."""
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
        """The result of *check* on *value*, which has the fields *given*."""
        try:
            return check(value)
        except ValidationError as error:
            if (count := error.error_count()) <= _MOST_ERRORS:
                raise InvalidPayloadError(self._job_type, _details(error)) from error
            problem = Problem("too_many_errors", f"has {count} errors")
            places = tuple(self._places(given, _is_refused))
        except Exception as error:  # a validator of the user's own
            problem = Problem("unusable", f"validating it raised {type(error).__name__}")
            raise self._refusal(problem, self._places(given, _makes_validator_raise)) from error
        raise self._refusal(problem, places)  # outside: without all those errors as its cause

    def _check_fields(self) -> None:
        """Refuse annotations that JSON cannot represent, and defaults that do not fit theirs."""
        for name, annotation in self._fields.items():
            try:
                refuse_alias(annotation)
                refuse_dependency(annotation, self._defaults.get(name))
                codec = Codec(annotation, check=refuse_unsupported)
            except Exception as error:
                shown = f"{name}payload" if name == OPEN else name
                raise TypeError(
                    f"handler {self._job_type!r}: {shown!r} cannot be part of a payload:"
                    f" {why_no_json(error, annotation)}"
                ) from error
            if name in self._defaults:
                self._check_default(name, codec, self._defaults[name])

    def _check_default(self, name: str, codec: Codec, default: Any) -> None:
        try:
            survives = _survives(codec, codec.validate(default))
            problem = "" if survives else "does not come back from JSON as it was"
        except Exception as error:
            problem = f"does not fit its own type: {brief(error)}"
        if problem:
            raise TypeError(f"handler {self._job_type!r}: the default of {name!r} {problem}")

    def _places(
        self, value: Mapping[str, Any], is_wrong: Callable[[Codec, Any], bool]
    ) -> Iterator[Place]:
        """The fields of *value*, and the names in its open part, for which *is_wrong* is true."""
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
        except Exception:  # a name of the caller's own type, whose hash or comparison raises
            shown = []
        return InvalidPayloadError(
            self._job_type,
            [{"type": problem.type, "loc": place, "msg": problem.msg} for place in shown or [()]],
        )


def _oversized_fields(payload: dict[str, Any], settings: JobQueueSettings) -> Iterator[Place]:
    """The fields of *payload* that are too large or too deep by themselves."""
    return ((name,) for name, part in payload.items() if find_oversize({name: part}, settings))


def why_no_json(error: Exception, annotation: Any) -> str:
    """What *error* says about *annotation*, for which no codec could be built."""
    why = written(brief(error))
    if isinstance(error, PydanticSchemaGenerationError):
        # Pydantic goes on with advice for models, which does not help here.
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


def _makes_validator_raise(codec: Codec, value: Any) -> bool:
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
    if detail["type"] == "union_tag_invalid":  # its text quotes the tag that was given
        text = "Input tag found using " + text.rpartition(" found using ")[2]
    return one_line(text, ERROR_LIMIT)


def _shown(place: Place) -> Place:
    """*place* as errors name it: without the field of the open part, and safe to print."""
    if place[:1] == (OPEN,):
        place = place[1:]
    return tuple(map(_shown_part, place))


def _shown_part(part: Any) -> str | int:
    if isinstance(part, str):
        return one_line(str.__str__(part), _PLACE_LIMIT)
    return part if type(part) is int and part.bit_length() < 64 else shown(part)
