"""Values to attack with: what JSON holds, what it does not, and what means harm."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from hypothesis import strategies as st

SECRET = "hunter2"


class Boom(Exception):
    """Raised by hostile values; its text has two lines, of which one looks like a log line."""

    def __init__(self) -> None:
        super().__init__("boom\nERROR forged \u202e\x1b[31m")


armed = [False]
"""Whether hostile values are: not while Hypothesis makes, compares and prints them."""


def _method(name: str, kind: type) -> Callable[..., Any]:
    """A method that fails while it is armed, and else is that of *kind*."""

    def method(self: Any, *args: Any) -> Any:
        if armed[0]:
            raise Boom
        return getattr(kind, name)(self, *args)

    return method


def hostile_kind(kind: type, *names: str) -> Any:
    """A subclass of *kind* all of whose methods of these names fail."""
    return type(f"Hostile{kind.__name__}", (kind,), {name: _method(name, kind) for name in names})


class Forger:
    def __repr__(self) -> str:
        return "x\nERROR forged\x00\u202e" * 1000 if armed[0] else "Forger()"

    __str__ = __repr__


class LyingText(str):
    __slots__ = ()

    def __len__(self) -> int:
        return 1 if armed[0] else str.__len__(self)

    def __eq__(self, other: object) -> bool:
        return armed[0] or str.__eq__(self, other)

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __repr__(self) -> str:
        return "'a'\nERROR forged" if armed[0] else str.__repr__(self)


class LyingDict(dict):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 0 if armed[0] else super().__len__()

    def keys(self) -> Any:
        return ["no", "such", "names"] if armed[0] else super().keys()


class LyingList(list):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return sys.maxsize if armed[0] else 1

    __length_hint__ = __len__


Unhashable = hostile_kind(object, "__hash__")
Unequal = hostile_kind(object, "__eq__", "__ne__")
Unshowable = hostile_kind(object, "__repr__", "__str__")
HostileText = hostile_kind(
    str,
    *("__eq__", "__len__", "__iter__", "__getitem__", "__str__", "__repr__", "__contains__"),
    *("encode", "isprintable", "split", "strip"),
)
HostileInt = hostile_kind(
    int, "__eq__", "__lt__", "__gt__", "__index__", "__float__", "__bool__", "__repr__"
)
HostileFloat = hostile_kind(float, "__eq__", "__lt__", "__gt__", "__float__", "__repr__")
HostileDict = hostile_kind(
    dict, "keys", "values", "items", "get", "__iter__", "__len__", "__getitem__"
)
HostileList = hostile_kind(list, "__iter__", "__len__", "__getitem__")


class Lying(Mapping):  # type: ignore[type-arg]
    """A mapping, one of whose methods fails or lies."""

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong

    def __getitem__(self, key: Any) -> Any:
        if armed[0] and self.wrong == "getitem":
            raise Boom
        return self.wrong

    def __iter__(self) -> Iterator[Any]:
        if armed[0] and self.wrong == "iter":
            raise Boom
        return iter([1, None, "a"] if self.wrong == "names" else ["anything"])

    def __len__(self) -> int:
        if armed[0] and self.wrong == "len":
            raise Boom
        return 0 if self.wrong == "empty" else 3

    def items(self) -> Any:
        if armed[0] and self.wrong == "items":
            return [1, 2]
        return super().items()


def _in_itself() -> list[Any]:
    circle: list[Any] = []
    circle += [circle, circle]
    return circle


def _doubled() -> Any:
    value: Any = []
    for _ in range(60):
        value = [value, value]
    return value


# By name, and built anew each time: some of them can be changed.
HOSTILE: dict[str, Callable[[], Any]] = {
    "unhashable": Unhashable,
    "unequal": Unequal,
    "unshowable": Unshowable,
    "forger": Forger,
    "hostile text": lambda: HostileText("anything"),
    "lying text": lambda: LyingText("anything"),
    "hostile int": lambda: HostileInt(7),
    "hostile float": lambda: HostileFloat(7),
    "hostile dict": lambda: HostileDict(anything=1),
    "lying dict": lambda: LyingDict(anything=1),
    "hostile list": lambda: HostileList([1]),
    "lying list": lambda: LyingList([1]),
    "mapping without getitem": lambda: Lying("getitem"),
    "mapping without iter": lambda: Lying("iter"),
    "mapping without len": lambda: Lying("len"),
    "mapping with wrong items": lambda: Lying("items"),
    "mapping with wrong names": lambda: Lying("names"),
    "mapping that looks empty": lambda: Lying("empty"),
    "mapping": lambda: Lying("nothing"),
    "in itself": _in_itself,
    "doubled": _doubled,
    "object": object,
    "function": lambda: print,
    "class": lambda: int,
    "module": lambda: sys,
    "generator": lambda: (n for n in range(3)),
    "memoryview": lambda: memoryview(b"a"),
    "bytearray": lambda: bytearray(b"a"),
    "exception": Boom,
    "longest int": lambda: 10**4299,
    "long int": lambda: 10**5000,
    "huge int": lambda: 1 << 3_400_000,
    "complex": lambda: 1j,
    "range": lambda: range(10**9),
}


# Results are not limited: these would be taken through JSON until memory or patience ends.
ENDLESS = ("name='doubled'", "name='range'", "wrap='wide'")


@dataclass(frozen=True, eq=False)
class Recipe:
    """A value that Hypothesis had better not touch: nested so deep, or hostile by itself."""

    name: str
    wrap: str = "list"
    levels: int = 0
    inside: Any = None

    def build(self) -> Any:
        value = HOSTILE[self.name]() if self.name else made(self.inside)
        for _ in range(self.levels):
            value = WRAPS[self.wrap](value)
        return value


WRAPS: dict[str, Callable[[Any], Any]] = {
    "list": lambda value: [value],
    "tuple": lambda value: (value,),
    "deque": lambda value: deque([value]),
    "dict": lambda value: {"anything": value},
    "children": lambda value: {"children": [value]},
    "wide": lambda value: [value, [value], {"a": value}],
}


def made(value: Any) -> Any:
    """*value* with all recipes in it carried out."""
    if isinstance(value, Recipe):
        return value.build()
    if isinstance(value, dict):
        return _dict_of([(made(key), made(part)) for key, part in value.items()])
    if type(value) in (list, tuple):
        return type(value)(map(made, value))
    return value


def _dict_of(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of the pairs whose keys can be keys."""
    built: dict[Any, Any] = {}
    for key, value in pairs:
        try:
            built[key] = value
        except Exception:
            continue
    return built


NAMES = [
    "os.system",
    "os:system",
    "subprocess:Popen",
    "antigravity",
    "this",
    "../../etc/passwd",
    "__import__('os')",
    "__class__",
    "asyncio ",
    "ASYNCIO",
    "asyncio\n",
    "asyncio\x00",
    "a:b[c]",
    "\u202easyncio",
    "\ud800",
    "${jndi:ldap://x}",
    "{0.__class__}",
    "%s%n",
    "",
    "**",
    "ctx",
    "self",
    "key",
    "anything",
]

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
names = st.sampled_from(NAMES) | any_text
long_texts = st.builds(
    lambda part, times: part * times,
    st.sampled_from(["x", "\n", "\u20ac", "\ud800", '"', "\\", "[{"]),
    st.sampled_from([0, 1, 1000, 400_000]),
)
hostile = st.builds(Recipe, st.sampled_from(sorted(HOSTILE)))

plain = st.none() | st.booleans() | st.integers() | st.floats() | any_text
unnamed = (
    plain
    | st.sampled_from([math.nan, math.inf, -0.0, 2**64, -(2**63) - 1])
    | st.binary(max_size=20)
    | st.decimals()
    | st.uuids()
    | st.datetimes(timezones=st.just(UTC))
    | st.timedeltas(max_value=timedelta(days=9999))
    | long_texts
    | hostile
)


odd = unnamed | st.just(SECRET)  # which may show where it is a name

deep = st.builds(
    Recipe,
    st.just("") | st.sampled_from(sorted(HOSTILE)),
    st.sampled_from(sorted(WRAPS)),
    st.sampled_from([1, 30, 62, 63, 64, 65, 127, 199, 200, 255, 1000, 20_000]),
    odd,
)


def dicts(keys: Any, values: Any) -> st.SearchStrategy[dict[Any, Any]]:
    return st.lists(st.tuples(keys, values), max_size=4).map(_dict_of)


anything = st.recursive(
    odd | deep,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | dicts(names | unnamed, inner)
        | dicts(st.sampled_from(["children", "kind", "x", "name", "data"]), inner)
    ),
    max_leaves=8,
)
