"""Exceptions with special methods that raise, lie or return nonsense: one for each method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# Overriding these prevents that the class or its instance is created at all.
_NEEDED = frozenset({"__class_getitem__", "__init__", "__init_subclass__", "__new__"})

_MORE = frozenset(
    {
        *("__bool__", "__bytes__", "__call__", "__contains__", "__float__", "__getattr__"),
        *("__getitem__", "__index__", "__int__", "__iter__", "__len__", "__next__"),
        *("__get__", "__set__", "__set_name__", "__instancecheck__", "__subclasscheck__"),
        *("__await__", "__enter__", "__exit__", "__add__", "__copy__", "__deepcopy__"),
    }
)


class _LyingText(str):
    """Text that claims to be printable, but is not."""

    __slots__ = ()

    def isprintable(self) -> bool:
        return True

    def __str__(self) -> str:
        return "also\nlying"


def _raises(*args: Any, **options: Any) -> Any:
    raise RuntimeError("hostile")


def _exits(*args: Any, **options: Any) -> Any:
    raise SystemExit(3)


def _lies(*args: Any, **options: Any) -> Any:
    return _LyingText("one\nline, \x1b[31mit says")


def _is_anything(*args: Any, **options: Any) -> Any:
    return KeyboardInterrupt


# Replacements of special methods and attributes; the kit uses the first two.
SHAPES: list[Callable[..., Any]] = [_raises, _lies, _exits, _is_anything]


def special_names() -> list[str]:
    """All special names of an exception and of its class."""
    found = {name for kind in (BaseExceptionGroup, type) for name in dir(kind)} | _MORE
    return sorted(name for name in found if name[:2] == "__" and name not in _NEEDED)


def hostile_errors(shape: Callable[..., Any]) -> Iterator[BaseException]:
    """Exceptions with *shape* for each special name, on the exception and on its class."""
    for name in special_names():
        for override in (shape, property(shape)):
            yield from _made(lambda o=override, n=name: type("HostileError", (Exception,), {n: o}))  # type: ignore[misc]
            yield from _made(lambda o=override, n=name: _of_a_hostile_class(n, o))  # type: ignore[misc]


def _of_a_hostile_class(name: str, override: Any) -> type[Exception]:
    meta: Any = type("Meta", (type,), {name: override})
    made: type[Exception] = meta("HostileError", (Exception,), {})
    return made


def _made(make: Callable[[], type[Exception]]) -> Iterator[BaseException]:
    """The exception, alone and in groups; nothing if Python itself cannot create it."""
    try:
        kind = make()
        forms: list[Exception] = [
            kind("x"),
            ExceptionGroup("several", [kind("x"), kind("y")]),
            ValueError("z"),
        ]
        forms[2].__cause__ = kind("x")
        nested = ExceptionGroup("outer", [forms[1]])
    except BaseException:
        return
    yield from (*forms, nested)


class EndlessGroup(ExceptionGroup[Exception]):
    """A group that says it contains itself."""

    @property
    def exceptions(self) -> Any:
        return (self,)


class HidingGroup(ExceptionGroup[Exception]):
    """A group that exits the process when its exceptions are read."""

    @property
    def exceptions(self) -> Any:
        raise SystemExit(3)
