"""Find payloads that are too large or too deep.

They are looked for twice: before a payload is validated, which costs far more than a quick look,
and exactly, once it is encoded.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from .._model.settings import JobQueueSettings
from .codec import depth_of

# The bits of 4,300 digits. Pydantic's JSON parser reads no longer int, and writing one is slow.
_MOST_INT_BITS = 14_285
# Exactly these types, not subclasses, which may lie about their length.
_CONTAINERS = frozenset({deque, dict, frozenset, list, set, tuple})
_TEXTS = frozenset({bytes, str})


class Problem(NamedTuple):
    """What is wrong with a payload, as pydantic's errors say it."""

    type: str
    msg: str


NOT_JSON = Problem(
    "not_json", "does not come back from JSON as it was; annotate it more exactly or leave it out"
)


def find_oversize(payload: dict[str, Any], settings: JobQueueSettings) -> Problem | None:
    """Why *payload* is clearly too large or too deep; examines at most as many values as bytes.

    Problems that this quick look does not find show once the payload is encoded.
    """
    limit = settings.max_payload_bytes
    size, level = 0, [payload]
    for _ in range(settings.max_payload_depth):
        below: list[Any] = []
        for container in level:
            size += 2 * len(container)
            found = _text_size(container, below) if size <= limit else 0
            if found is None:
                return NOT_JSON
            size += found
            if size > limit:
                return too_large(f"at least {size}", settings)
        if not below:
            return None
        level = below
    return too_deep(settings)


def find_oversize_json(text: bytes, settings: JobQueueSettings) -> Problem | None:
    """Why *text*, the JSON of a payload, is too large or too deep."""
    if len(text) > settings.max_payload_bytes:
        return too_large(str(len(text)), settings)
    limit = settings.max_payload_depth
    if len(text) <= 2 * limit:  # each level has two brackets
        return None
    if text.count(b"[") + text.count(b"{") <= limit or depth_of(text) <= limit:
        return None
    return too_deep(settings)


def too_large(size: str, settings: JobQueueSettings) -> Problem:
    return Problem(
        "too_large",
        f"is {size} bytes of JSON, more than max_payload_bytes ({settings.max_payload_bytes});"
        " keep large data in a file or an object store, and submit its name",
    )


def too_deep(settings: JobQueueSettings) -> Problem:
    limit = settings.max_payload_depth
    return Problem(
        "too_deep",
        f"is nested at least {limit + 1} levels deep, more than max_payload_depth ({limit});"
        " submit a flatter structure",
    )


def _text_size(container: Any, below: list[Any]) -> int | None:
    """The length of all text in *container*; None if it contains an int that is too long.

    Containers in it are appended to *below*.
    """
    size = 0
    for part in container.values() if type(container) is dict else container:
        kind = type(part)
        if kind in _TEXTS:
            size += len(part)
        elif kind in _CONTAINERS:
            below.append(part)
        elif kind is int and part.bit_length() > _MOST_INT_BITS:
            return None
    return size
