"""Results that no backend keeps: a terminal record has to read the same every time.

- An iterator is used up by its first reader, an open handle is of use to its process only,
  and what is to be awaited is not a value yet.
- A result is judged by its type: a mock or a proxy has any attribute that one asks for. Of
  the type nothing is asked that a metaclass could have its own word on, its hash included.
- Plain containers and what derives from them are looked into at every depth, up to a
  thousand values in all. Models, dataclasses and other objects are not: that would cost
  every job that returns one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

# The ids of the types that are never used up, and are not looked at.
PLAIN = frozenset(map(id, (type(None), bool, bytes, float, int, str)))

# What is in a container, by the id of its type.
_INSIDE: dict[int, Callable[[Any], Iterable[Any]]] = {
    id(dict): dict.values,
    **{id(kind): kind.__iter__ for kind in (deque, frozenset, list, set, tuple)},
}
_LOOKED_AT = 1000

_OPEN = "is an open handle: return its path, or what is in it"
# Why what has these methods is not kept; the first that fits.
_REASONS = {
    ("__await__",): "was not awaited: await it, and return what it gives",
    ("fileno",): _OPEN,
    ("read", "seek"): _OPEN,
    ("__next__",): "is used up by its first reader: return a list of what it gives",
    ("__anext__",): "is used up by its first reader: return a list of what it gives",
}
# Hands on the methods of its file, and has none of these itself.
_WRAPPER = ("tempfile", "_TemporaryFileWrapper")
_TELLING = {"close", *(name for names in _REASONS for name in names)}

_bases_of = type.__dict__["__mro__"].__get__
_name_of = type.__dict__["__name__"].__get__
_names_of = type.__dict__["__dict__"].__get__


def refuse_used_up(value: Any) -> None:
    """Nothing for a result that can be read again and again; coroutines in others are closed.

    Raises:
        TypeError: it, or a part of it, is an iterator, an open handle or to be awaited.
    """
    if id(type(value)) in PLAIN:
        return
    found = [(part, why) for part in _parts(value) if (why := _why_not(type(part)))]
    if not found:
        return
    for part, _ in found:
        discard(part)
    part, why = found[0]
    inside = "" if part is value else f" contains a value of type {_name_of(type(part))}, which"
    raise TypeError(f"a result of type {_name_of(type(value))}{inside} {why}")


def is_awaitable(value: Any) -> bool:
    """Whether *value* is to be awaited."""
    return id(type(value)) not in PLAIN and _has(type(value), "__await__")


def discard(value: Any) -> None:
    """Close *value* if it is a coroutine, of which Python would say that nobody awaited it."""
    if is_awaitable(value):
        with suppress(Exception):
            value.close()


def _parts(value: Any) -> list[Any]:
    """*value* and what is in it, as far as that is looked at; without what is plain."""
    parts, budget = [value], _LOOKED_AT
    for part in parts:  # which grows
        if (inside := _inside(type(part))) is not None:
            values = list(islice(inside(part), budget))
            budget -= len(values)
            if not PLAIN.issuperset(map(id, map(type, values))):
                parts += [each for each in values if id(type(each)) not in PLAIN]
    return parts


def _inside(kind: type) -> Callable[[Any], Iterable[Any]] | None:
    """What gives the values in a container of this type; None for what is no container."""
    for base in _bases_of(kind):
        if id(base) in _INSIDE:
            return _INSIDE[id(base)]
    return None


def _why_not(kind: type) -> str | None:
    """What speaks against keeping a value of this type."""
    if id(kind) in _INSIDE or not _is_telling(kind):
        return None
    for names, why in _REASONS.items():
        if all(_has(kind, name) for name in names):
            return why
    return _OPEN if (_names_of(kind).get("__module__"), _name_of(kind)) == _WRAPPER else None


def _is_telling(kind: type) -> bool:
    """Whether to look closer; most types are done with here, in a microsecond."""
    return not all(_names_of(base).keys().isdisjoint(_TELLING) for base in _bases_of(kind))


def _has(kind: type, name: str) -> bool:
    """Whether *kind* has a method of this name; a mock has proxies that only look like some."""
    for base in _bases_of(kind):
        if name in (names := _names_of(base)):
            return callable(names[name])
    return False
