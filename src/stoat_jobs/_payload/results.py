"""Refuse results that cannot be read twice: a terminal record reads the same every time.

- An iterator is used up by its first reader, an open handle works in its own process only,
  and an awaitable is not a value yet.
- A result is judged by its type, because a mock or a proxy has every attribute. The type is
  never asked in a way that its metaclass can override, not even for its hash.
- Plain containers and their subclasses are searched at every depth, up to a thousand values
  in all. Models, dataclasses and other objects are not: every job that returns one would pay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

# The ids of the types that can always be read again; their values are not examined.
PLAIN = frozenset(map(id, (type(None), bool, bytes, float, int, str)))

# How to read the values in a container, by the id of its type.
_INSIDE: dict[int, Callable[[Any], Iterable[Any]]] = {
    id(dict): dict.values,
    **{id(kind): kind.__iter__ for kind in (deque, frozenset, list, set, tuple)},
}
_MOST_VALUES = 1000

_OPEN = "is an open handle: return its path, or what is in it"
# Why a value with these methods is refused; the first match counts.
_REASONS = {
    ("__await__",): "was not awaited: await it, and return what it gives",
    ("fileno",): _OPEN,
    ("read", "seek"): _OPEN,
    ("__next__",): "is used up by its first reader: return a list of what it gives",
    ("__anext__",): "is used up by its first reader: return a list of what it gives",
}
# It delegates to its file by __getattr__, so its class has none of these methods.
_WRAPPER = ("tempfile", "_TemporaryFileWrapper")
_SUSPECT_METHODS = {"close", *(name for names in _REASONS for name in names)}

_bases_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_names_of = type.__dict__["__dict__"].__get__


def refuse_used_up(value: Any) -> None:
    """Refuse a result that can be read only once, and close the coroutines in it.

    Raises:
        TypeError: it is, or contains, an iterator, an open handle or an awaitable.
    """
    if id(type(value)) in PLAIN:
        return
    found = [(part, why) for part in _parts(value) if (why := _reason_against(type(part)))]
    if not found:
        return
    for part, _ in found:
        discard(part)
    part, why = found[0]
    inside = "" if part is value else f" contains a value of type {_name_of(type(part))}, which"
    raise TypeError(f"a result of type {_name_of(type(value))}{inside} {why}")


def is_awaitable(value: Any) -> bool:
    """Whether *value* can be awaited, judged by its type."""
    return id(type(value)) not in PLAIN and _has(type(value), "__await__")


def discard(value: Any) -> None:
    """Close *value* if it is a coroutine, or Python would warn that it was never awaited."""
    if is_awaitable(value):
        with suppress(Exception):
            value.close()


def _parts(value: Any) -> list[Any]:
    """*value* and the values in it that need a closer look, up to the limit."""
    parts, budget = [value], _MOST_VALUES
    for part in parts:  # the list grows while it is read
        if (inside := _inside(type(part))) is not None:
            values = list(islice(inside(part), budget))
            budget -= len(values)
            if not PLAIN.issuperset(map(id, map(type, values))):
                parts += [each for each in values if id(type(each)) not in PLAIN]
    return parts


def _inside(kind: type) -> Callable[[Any], Iterable[Any]] | None:
    """The function that reads the values in a container of this type; None for other types."""
    for base in _bases_of(kind):
        if id(base) in _INSIDE:
            return _INSIDE[id(base)]
    return None


def _reason_against(kind: type) -> str | None:
    """Why a value of this type cannot be kept as a result; None if it can."""
    if id(kind) in _INSIDE or not _is_suspect(kind):
        return None
    for names, why in _REASONS.items():
        if all(_has(kind, name) for name in names):
            return why
    return _OPEN if (_names_of(kind).get("__module__"), _name_of(kind)) == _WRAPPER else None


def _is_suspect(kind: type) -> bool:
    """Whether to look closer. This quick check, a microsecond, is enough for most types."""
    return not all(_names_of(base).keys().isdisjoint(_SUSPECT_METHODS) for base in _bases_of(kind))


def _has(kind: type, name: str) -> bool:
    """Whether *kind* has a method of this name; a mock's class has proxies, which do not count."""
    for base in _bases_of(kind):
        if name in (names := _names_of(base)):
            return callable(names[name])
    return False
