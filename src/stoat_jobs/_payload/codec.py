"""Encode values as JSON and decode them again, for payloads and results.

- A value is validated, encoded once and decoded once. So the job gets its own copy, isolated
  from the caller at every depth, and the same one on every backend.
- A value is refused unless it comes back equal and with the same types. This refuses
  SecretStr, NaN, a tuple inside Any, an instance of a model's subclass, excluded fields.
- An instance of a scalar's subclass, such as a driver's own UUID or a library's datetime, is
  accepted if it equals the plain scalar that comes back. The job sees the plain scalar.
- A time in the repeated hour when clocks go back is compared in UTC. Python calls it unequal
  to every time in another zone (PEP 495), and the time from JSON is in another zone.
- Bytes are encoded as base64, inside nested models too, whatever those models' configs say.
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
# Errors do not show inputs: a payload may contain secrets, and errors are logged.
_ROOT = CoreConfig(hide_input_in_errors=True, **_BASE64)

# Schemas with a config of their own, which replaces the config of the schema around them.
_CONFIGURED = frozenset({"model", "model-fields", "dataclass", "dataclass-args", "typed-dict"})
# Keys of a schema that contain the user's own values, not another schema.
_VALUES = frozenset({"default", "expected", "metadata", "cls"})

_SCALARS = frozenset({bool, float, int, str, type(None)})

# Scalars that JSON is decoded to only where they are declared. Not str, int, float or bool:
# where these are declared pydantic makes plain ones, and elsewhere, as in Any, types must match.
_SUBCLASSED: frozenset[type] = frozenset(
    {
        *(bytes, complex, Decimal, Fraction, UUID),
        *(date, datetime, time, timedelta),
        *(PosixPath, PurePosixPath, PureWindowsPath, WindowsPath),
        *(IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network),
    }
)

# An opening bracket becomes the signed byte 1, a closing one -1.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))

C = TypeVar("C", SchemaValidator, SchemaSerializer)
Pairs = list[tuple[Any, Any]]


class Codec:
    """Validates, encodes and decodes the values of one annotation."""

    __slots__ = ("_serializer", "_validator", "validate")

    validate: Callable[[Any], Any]
    """Return the value as the annotation's type; raises what pydantic raises."""

    def __init__(
        self,
        annotation: Any,
        *,
        closed: bool = False,
        check: Callable[[Any], None] | None = None,
    ) -> None:
        """For *annotation*; with *closed*, a TypedDict that forbids extra keys.

        *check* is called with the core schema before it is built, and may raise.
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
    """Describes bytes as they are encoded."""

    def bytes_schema(self, schema: Any) -> dict[str, Any]:
        return {**super().bytes_schema(schema), "format": "base64url"}


def json_schema(annotation: Any) -> dict[str, Any]:
    """The JSON Schema of what a closed codec decodes; *annotation* is a TypedDict."""
    return _Base64JsonSchema().generate(_core_schema(annotation, closed=True), "validation")


def _core_schema(annotation: Any, *, closed: bool) -> Any:
    schema = _with_base64(TypeAdapter[Any](annotation).core_schema)
    if closed:
        # Not by the TypedDict's own config: dataclasses inside it would inherit that.
        schema.get("schema", schema)["extra_behavior"] = "forbid"
    return schema


def _build(kind: type[C], schema: Any) -> C:
    # Otherwise a nested model's own validator is reused, with its own config (pydantic-core#1616).
    return kind(schema, _ROOT, _use_prebuilt=False)


def _with_base64(schema: Any) -> Any:
    """A copy of a core schema in which every config encodes bytes as base64."""
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
    """Whether both are equal, and of the same types at every depth.

    >>> same({"a": [1]}, {"a": [1]}), same([1], (1,)), same(1, True)
    (True, False, False)
    """
    return all_same([(left, right)])


def all_same(pairs: Pairs) -> bool:
    """Whether both values of each pair are the same; this empties the list *pairs*."""
    while pairs:  # not by recursion: the caller's stack may be deep already
        ours, theirs = pairs.pop()
        kind = type(ours)
        if kind is not type(theirs):
            if not _is_scalar_subclass(ours, theirs):
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


def _is_scalar_subclass(ours: Any, theirs: Any) -> bool:
    """Whether *ours* equals the scalar *theirs* and is an instance of a subclass of its type.

    Database drivers and date libraries have such subclasses, and their users rarely notice.
    """
    kind = type(theirs)
    return kind in _SUBCLASSED and isinstance(ours, kind) and bool(_comparable(ours) == theirs)


def _comparable(value: Any) -> Any:
    """*value*, or the same instant in UTC if it is a time that its zone has twice or never."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        other = value.replace(fold=1 - value.fold)
        if other.utcoffset() != value.utcoffset():
            return value.astimezone(UTC)
    return value


# Each returns the pairs that have to be the same in two values of one type, or None if the
# values differ already.


def _item_parts(left: Any, right: Any) -> Pairs | None:
    return list(zip(left, right)) if len(left) == len(right) else None


def _key_parts(left: Any, right: Any) -> Pairs | None:
    # A lookup is by equality only, and an enum may equal its value: compare types afterwards.
    theirs = {_comparable(key): key for key in right}
    if len(left) != len(right) or any(_comparable(key) not in theirs for key in left):
        return None
    return [(key, theirs[_comparable(key)]) for key in left]


def _dict_parts(left: Any, right: Any) -> Pairs | None:
    if list(left) == list(right):  # nearly always: JSON keeps the order of keys
        return [*zip(left, right), *zip(left.values(), right.values())]
    keys = _key_parts(left, right)
    return None if keys is None else [*keys, *((left[one], right[other]) for one, other in keys)]


def _time_parts(left: Any, right: Any) -> Pairs | None:
    return [] if _comparable(left) == _comparable(right) else None


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
    """*error* in one line; pydantic's own text has several lines, with URLs."""
    if isinstance(error, ValidationError):
        return "; ".join(detail["msg"] for detail in error.errors(include_input=False))
    return describe(error).split("\\n", 1)[0]
