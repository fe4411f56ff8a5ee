"""What makes a payload too much, seen before it is validated or decoded: both cost far more."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from .._model.settings import JobQueueSettings

# 4,300 digits, beyond which no JSON parser here reads an int; writing one takes long.
_LONGEST_INT = 14_285
# These types alone, which cannot lie about their length.
_CONTAINERS = frozenset({deque, dict, frozenset, list, set, tuple})
_TEXTS = frozenset({bytes, str})


class Problem(NamedTuple):
    """What is wrong with a payload, in the terms of pydantic's errors."""

    type: str
    msg: str


NOT_JSON = Problem(
    "not_json", "does not come back from JSON as it was; annotate it more exactly or leave it out"
)


def excess(payload: dict[str, Any], settings: JobQueueSettings) -> Problem | None:
    """What makes *payload* plainly too much; looks at no more parts than bytes are allowed."""
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


def too_large(size: str, settings: JobQueueSettings) -> Problem:
    return Problem(
        "too_large",
        f"takes {size} bytes as JSON, more than max_payload_bytes, {settings.max_payload_bytes};"
        " keep large data in a file or an object store, and submit its name",
    )


def too_deep(settings: JobQueueSettings) -> Problem:
    limit = settings.max_payload_depth
    return Problem(
        "too_deep",
        f"is nested at least {limit + 1} levels deep, more than max_payload_depth, {limit};"
        " submit it flatter",
    )


def _text_size(container: Any, below: list[Any]) -> int | None:
    """Characters of the texts in *container*; None if an int in it is too long.

    Containers in it are added to *below*.
    """
    size = 0
    for part in container.values() if type(container) is dict else container:
        kind = type(part)
        if kind in _TEXTS:
            size += len(part)
        elif kind in _CONTAINERS:
            below.append(part)
        elif kind is int and part.bit_length() > _LONGEST_INT:
            return None
    return size
