"""Values through JSON and back, for payloads and results.

- A value is validated, encoded once and decoded once, so that what a job sees is
  isolated from the caller at every depth and the same on every backend.
- What does not come back equal, and of the same types, is refused: SecretStr, NaN, a
  tuple inside Any, an instance of a model's subclass, excluded fields.
- An instance of a scalar's subclass, such as a driver's own UUID or a library's datetime, is
  the same if it is equal to the scalar that comes back, which is what the job sees.
- A time of the hour that a zone has twice is compared by its instant: to Python it is unequal
  to each time of another zone (PEP 495), and what comes back from JSON has another.
- Bytes travel as base64, inside nested models too, whatever those models say.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from itertools import accumulate
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreConfig, SchemaSerializer, SchemaValidator

from .._text import describe

_BASE64 = CoreConfig(ser_json_bytes="base64", val_json_bytes="base64")
# Errors without inputs: a payload may hold secrets, and errors are logged.
_ROOT = CoreConfig(hide_input_in_errors=True, **_BASE64)

# Schemas that carry a config of their own, which hides that of what is around them.
_CONFIGURED = frozenset({"model", "model-fields", "dataclass", "dataclass-args", "typed-dict"})
# Keys of a schema under which the user's own values lie, not more schema.
_VALUES = frozenset({"default", "expected", "metadata", "cls"})

_SCALARS = frozenset({bool, float, int, str, type(None)})

# Scalars that no JSON is decoded to but for their own annotation. Of text and numbers pydantic
# makes plain ones where they are declared; where they are not, such as in Any, they stay exact.
_SUBCLASSED: frozenset[type] = frozenset(
    {
        *(bytes, complex, Decimal, Fraction, UUID),
        *(date, datetime, time, timedelta),
        *(PosixPath, PurePosixPath, PureWindowsPath, WindowsPath),
        *(IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network),
    }
)

# Brackets become signed bytes, 1 and -1.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))

C = TypeVar("C", SchemaValidator, SchemaSerializer)
Pairs = list[tuple[Any, Any]]


class Codec:
    """Checks, encodes and decodes values of one annotation."""

    __slots__ = ("_serializer", "_validator", "validate")

    validate: Callable[[Any], Any]
    """A value as the annotation wants it; raises what pydantic raises."""

    def __init__(
        self,
        annotation: Any,
        *,
        closed: bool = False,
        check: Callable[[Any], None] | None = None,
    ) -> None:
        """For *annotation*; with *closed*, a TypedDict that takes no keys but its own.

        *check* is given the core schema before it is built, and may raise.
        """
        schema = _core_schema(annotation, closed=closed)
        if check is not None:
            check(schema)
        self._validator = _build(SchemaValidator, schema)
        self._serializer = _build(SchemaSerializer, schema)
        self.validate = self._validator.validate_python

    def encode(self, value: Any) -> bytes:
        """A validated value as JSON; raises what pydantic raises."""
        return self._serializer.to_json(value, warnings=False, round_trip=True)

    def decode(self, text: bytes) -> Any:
        """A value from JSON, validated; raises what pydantic raises."""
        return self._validator.validate_json(text, by_alias=True, by_name=True)


class _Base64JsonSchema(GenerateJsonSchema):
    """Knows bytes as they travel."""

    def bytes_schema(self, schema: Any) -> dict[str, Any]:
        return {**super().bytes_schema(schema), "format": "base64url"}


def json_schema(annotation: Any) -> dict[str, Any]:
    """JSON Schema of what a closed codec for *annotation*, a TypedDict, decodes."""
    return _Base64JsonSchema().generate(_core_schema(annotation, closed=True), "validation")


def _core_schema(annotation: Any, *, closed: bool) -> Any:
    schema = _with_base64(TypeAdapter[Any](annotation).core_schema)
    if closed:
        # Not in the TypedDict's own config, which dataclasses inside it would inherit.
        schema.get("schema", schema)["extra_behavior"] = "forbid"
    return schema


def _build(kind: type[C], schema: Any) -> C:
    # Else a nested model's ready-made parts would be used, with their own idea of bytes.
    return kind(schema, _ROOT, _use_prebuilt=False)


def _with_base64(schema: Any) -> Any:
    """A copy of a core schema in which every config says base64."""
    if isinstance(schema, dict):
        copied = {
            name: part if name in _VALUES else _with_base64(part) for name, part in schema.items()
        }
        if schema.get("type") in _CONFIGURED:
            copied["config"] = {**schema.get("config", {}), **_BASE64}
        return copied
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_with_base64, schema))
    return schema


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types at every depth.

    >>> same({"a": [1]}, {"a": [1]}), same([1], (1,)), same(1, True)
    (True, False, False)
    """
    return all_same([(left, right)])


def all_same(pairs: Pairs) -> bool:
    """Whether each of *pairs*, a list that is used up, is a pair of the same."""
    while pairs:  # not by recursion: the caller's stack may be deep already
        ours, theirs = pairs.pop()
        kind = type(ours)
        if kind is not type(theirs):
            if not _stands_for(ours, theirs):
                return False
            continue
        if kind in _SCALARS:
            if ours != theirs:
                return False
        elif (parts := _PARTS.get(kind, _other_parts)(ours, theirs)) is None:
            return False
        else:
            pairs += parts
    return True


def _stands_for(ours: Any, theirs: Any) -> bool:
    """Whether *ours* is of a subclass of a scalar's type, and equal to that scalar.

    Drivers and libraries for dates have such subclasses, and people do not see them.
    """
    kind = type(theirs)
    return kind in _SUBCLASSED and isinstance(ours, kind) and bool(_plainly(ours) == theirs)


def _plainly(value: Any) -> Any:
    """*value*, but in UTC if it is a time that its zone has twice or never."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        other = value.replace(fold=1 - value.fold)
        if other.utcoffset() != value.utcoffset():
            return value.astimezone(UTC)
    return value


# Each gives what has to be the same in two values of one type, or None if they differ already.


def _item_parts(left: Any, right: Any) -> Pairs | None:
    return list(zip(left, right)) if len(left) == len(right) else None


def _key_parts(left: Any, right: Any) -> Pairs | None:
    # Keys are found by equality alone, which takes an enum for its value.
    theirs = {_plainly(key): key for key in right}
    if len(left) != len(right) or any(_plainly(key) not in theirs for key in left):
        return None
    return [(key, theirs[_plainly(key)]) for key in left]


def _dict_parts(left: Any, right: Any) -> Pairs | None:
    if list(left) == list(right):  # as good as always: JSON keeps their order
        return [*zip(left, right), *zip(left.values(), right.values())]
    keys = _key_parts(left, right)
    return None if keys is None else [*keys, *((left[one], right[other]) for one, other in keys)]


def _time_parts(left: Any, right: Any) -> Pairs | None:
    return [] if _plainly(left) == _plainly(right) else None


def _model_parts(left: Any, right: Any) -> Pairs | None:
    return [
        *((getattr(left, name), getattr(right, name)) for name in type(left).model_fields),
        (left.__pydantic_extra__, right.__pydantic_extra__),
        (left.__pydantic_private__, right.__pydantic_private__),
    ]


_PARTS: dict[type, Callable[[Any, Any], Pairs | None]] = {
    datetime: _time_parts,
    deque: _item_parts,
    dict: _dict_parts,
    frozenset: _key_parts,
    list: _item_parts,
    set: _key_parts,
    tuple: _item_parts,
}


def _other_parts(left: Any, right: Any) -> Pairs | None:
    if isinstance(left, BaseModel):
        return _model_parts(left, right)
    if dataclasses.is_dataclass(left):
        names = [field.name for field in dataclasses.fields(left)]
        return [(getattr(left, name), getattr(right, name)) for name in names]
    for kind, parts in _PARTS.items():
        if isinstance(left, kind):
            return parts(left, right)
    return [] if left == right else None


def depth_of(text: bytes) -> int:
    """How many levels deep the JSON *text* is nested.

    >>> depth_of(b'{"a": ["[[["]}'), depth_of(b"1")
    (2, 0)
    """
    unescaped = text.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    steps = outside_strings.translate(_STEPS, _NO_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def brief(error: Exception) -> str:
    """*error* in one line; pydantic's texts have several, with addresses."""
    if isinstance(error, ValidationError):
        return "; ".join(detail["msg"] for detail in error.errors(include_input=False))
    return describe(error).split("\\n", 1)[0]
