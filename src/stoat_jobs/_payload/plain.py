"""Plain payloads: short values that are known to come back from JSON as they are.

- A field is plain if its annotation is a plain type, or a union of plain types: bool, float,
  int, str, None. Exactly these: a subclass, an enum or a constraint may have code of its own.
- A payload of plain fields need not be encoded when it is submitted if its values are plain
  too, and validation gave equal ones. So what was found out about the values given is true
  of the validated ones: equal plain values are equally long in JSON, or nearly so.
- Whatever might not come back, or might be too large, is not plain: text that may not be
  Unicode, numbers that JSON does not have or that some parser does not read.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, get_args, get_origin

from .signature import UNIONS

_PLAIN = frozenset({bool, float, int, str, type(None)})
# As many as the largest float has, which an int field may turn into an int.
_MOST_INT_BITS = 1024
# No plain value takes more bytes of JSON, text aside: an int of as many bits has 309 digits.
_MOST_BYTES = 320
# A control character is written as \u0000.
_MOST_BYTES_OF_CHARACTER = 6

# Longer text may be far too large, and is not examined.
_LONGEST_EXAMINED = 1_000

# Values of these types come back from JSON the same, in plain fields ...
_UNCHANGED = _PLAIN - {float}
# ... except for an int with more digits than this, which can be written but not read.
_LONGEST_UNCHANGED = 4_300


def is_plain_field(annotation: Any) -> bool:
    """Whether *annotation* allows only plain types."""
    members = get_args(annotation) if get_origin(annotation) in UNIONS else (annotation,)
    # By identity: what Annotated contains may not be hashable.
    return all(any(member is kind for kind in _PLAIN) for member in members)


def most_bytes_of_names(names: list[str]) -> int:
    """At most how many bytes the JSON of an object with these *names* has, its values aside."""
    return 2 + sum(len('"":,') + _MOST_BYTES_OF_CHARACTER * len(name) for name in names)


def is_plain_payload(payload: dict[str, Any], most_bytes: int) -> bool:
    """Whether all names and values are plain, and the values surely fit in *most_bytes*."""
    size = _MOST_BYTES * len(payload)
    for name, part in payload.items():
        kind = type(part)
        if type(name) is not str:
            return False
        if kind is str:
            if not (part.isascii() or _is_unicode(part)):
                return False
            size += _MOST_BYTES_OF_CHARACTER * len(part)
        elif kind is int:
            if part.bit_length() > _MOST_INT_BITS:
                return False
        elif kind is float:
            if not isfinite(part):
                return False
        elif kind is not bool and part is not None:
            return False
    return size <= most_bytes


def _is_unicode(text: str) -> bool:
    """Whether *text* is known to be valid: half a surrogate pair is not printable."""
    return len(text) <= _LONGEST_EXAMINED and text.isprintable()


def comes_back_unchanged(value: dict[str, Any], text: bytes) -> bool:
    """Whether decoding *text* is known to give *value*, whose fields are all plain."""
    return len(text) <= _LONGEST_UNCHANGED and _UNCHANGED.issuperset(map(type, value.values()))
