"""The metadata of a job: a JSON object that nobody can change behind the queue's back.

- What is given is copied at every depth, into the plain types of JSON.
- What is handed out is read-only: flat metadata is a mapping proxy, and the values of nested
  metadata are copies.
- An error names the item, and never shows its value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import to_json

from .._text import SHOWN_LIMIT, WHY_NO_NUL, describe, name_of, one_line, shown

METADATA_LIMIT = 65_536
"""Bytes of JSON, unless the settings say something else."""

ORIGIN = "resubmitted_from"
"""What a job that is submitted again says of itself: the id of the first one."""

ORIGIN_BYTES = len(f'"{ORIGIN}":"",') + 36
"""What that adds to the JSON."""

NO_METADATA: Mapping[str, Any] = MappingProxyType({})

# As in payloads; the metadata itself is the first level.
_DEEPEST = 64
# The bits of 4,300 digits: no longer int can be read by every parser.
_MOST_INT_BITS = 14_285
# At most so many bytes for a pair, without the characters of its texts, and for a character.
_MOST_BYTES_OF_PAIR = 6
_MOST_BYTES_OF_CHARACTER = 6

_HINTS = {tuple: "give a list", set: "give a list", bytes: "give text, such as its base64"}


def checked_metadata(metadata: Mapping[str, Any] | None, limit: int) -> Mapping[str, Any]:
    """A read-only copy of *metadata*, of at most *limit* bytes of JSON.

    Raises:
        TypeError: it is not a mapping of text to JSON values, or cannot be read.
        ValueError: it is too large, nested more than 64 levels deep, not valid Unicode, or
            contains U+0000 or a number that JSON does not have.
    """
    if metadata is None:
        return NO_METADATA
    if not issubclass(type(metadata), Mapping):
        kind = name_of(type(metadata))
        raise TypeError(f"metadata must map text to JSON values, not be of type {kind}")
    items = _items(metadata, ())
    if _is_short_text(items, limit):
        return read_only(items)
    plain = _Copies(limit).copy(items, ())
    if (size := len(to_json(plain))) > limit:
        raise _too_large(str(size), limit)
    return read_only(plain)


def read_only(plain: dict[str, Any]) -> Mapping[str, Any]:
    """Metadata that nobody can change, of a JSON object that nobody else has."""
    if any(type(value) in (dict, list) for value in plain.values()):
        return _Nested(plain)
    return MappingProxyType(plain) if plain else NO_METADATA


class _Nested(Mapping[str, Any]):
    """A JSON object with objects or lists in it, of which it hands out copies."""

    __slots__ = ("_plain",)

    def __init__(self, plain: dict[str, Any]) -> None:
        self._plain = plain

    def __getitem__(self, name: str) -> Any:
        return _copy_of_plain(self._plain[name])

    def __contains__(self, name: object) -> bool:  # without a copy of the value
        return name in self._plain

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def __repr__(self) -> str:
        return repr(self._plain)


def _copy_of_plain(value: Any) -> Any:
    if type(value) is dict:
        return {name: _copy_of_plain(part) for name, part in value.items()}
    if type(value) is list:
        return [_copy_of_plain(part) for part in value]
    return value


def _is_short_text(items: dict[Any, Any], limit: int) -> bool:
    """Whether it is text that surely is valid and small enough; such items need no copy."""
    size = 2
    for name, value in items.items():
        if not (type(name) is type(value) is str and name.isascii() and value.isascii()):
            return False
        if "\0" in name or "\0" in value:
            return False
        size += _MOST_BYTES_OF_CHARACTER * (len(name) + len(value)) + _MOST_BYTES_OF_PAIR
    return size <= limit


Place = tuple[str | int, ...]


class _Copies:
    """Copies values into plain ones, until they are clearly more than *limit* bytes of JSON."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0

    def copy(self, value: Any, place: Place) -> Any:
        """A plain copy of *value*, which is at *place*."""
        kind = type(value)
        self._add(1)
        if value is None or kind is bool:
            return value
        # Not isinstance(), which asks the value for its __class__.
        for base, copy in _COPIES:
            if issubclass(kind, base):
                return copy(self, value, place)
        hint = next((f"; {hint}" for base, hint in _HINTS.items() if issubclass(kind, base)), "")
        raise TypeError(f"{_named(place)} is of type {name_of(kind)}, which JSON lacks{hint}")

    def _text(self, value: str, place: Place) -> str:
        plain = str.__str__(value)
        self._add(len(plain))
        if not _is_unicode(plain):
            raise ValueError(f"{_named(place)} is not valid Unicode: it has half a surrogate pair")
        if "\0" in plain:
            raise ValueError(f"{_named(place)} contains U+0000, {WHY_NO_NUL}")
        return plain

    def _int(self, value: int, place: Place) -> int:
        if int.bit_length(value) > _MOST_INT_BITS:
            raise ValueError(f"{_named(place)} is a number of too many digits")
        return int.__int__(value)

    def _float(self, value: float, place: Place) -> float:
        plain = float.__float__(value)
        if not math.isfinite(plain):
            raise ValueError(f"{_named(place)} is NaN or infinite, which JSON lacks")
        return plain

    def _list(self, value: list[Any], place: Place) -> list[Any]:
        _check_depth(place)
        self._add(list.__len__(value))
        return [self.copy(part, (*place, at)) for at, part in enumerate(list.__iter__(value))]

    def _object(self, value: Mapping[Any, Any], place: Place) -> dict[str, Any]:
        _check_depth(place)
        items = _items(value, place)
        self._add(2 * len(items))
        return {
            self._name(name, place): self.copy(part, (*place, name)) for name, part in items.items()
        }

    def _name(self, name: Any, place: Place) -> str:
        if issubclass(type(name), str):
            return self._text(name, (*place, name))
        raise TypeError(f"the names in {_named(place)} must be text, not {shown(name)}")

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            raise _too_large(f"at least {self._size}", self._limit)


_COPIES: tuple[tuple[type, Any], ...] = (
    (str, _Copies._text),
    (int, _Copies._int),
    (float, _Copies._float),
    (list, _Copies._list),
    (Mapping, _Copies._object),
)


def _items(given: Mapping[Any, Any], place: Place) -> dict[Any, Any]:
    try:
        return dict(given)
    except Exception as error:  # the caller's own mapping
        raise TypeError(f"{_named(place)} cannot be read: {describe(error)}") from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_depth(place: Place) -> None:
    if len(place) >= _DEEPEST:
        raise ValueError(f"{_named(place[:1])} is nested more than {_DEEPEST} levels deep")


def _too_large(size: str, limit: int) -> ValueError:
    return ValueError(f"metadata must not exceed max_metadata_bytes ({limit}), not be {size}")


def _named(place: Place) -> str:
    return one_line("metadata" + "".join(f"[{shown(step)}]" for step in place), SHOWN_LIMIT)
