"""A traceback in the log has its own lines, and none that an error's text has forged."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from stoat_jobs._events.tracebacks import traceback_text

HOSTILE = "x\r\n2026-11-28 CRITICAL root FORGED\x1b[2J\x1b]0;pwned\x07\u202e\u2028\x85\x0b\x0c"
SAFE = (
    "x\\r\\n2026-11-28 CRITICAL root FORGED\\x1b[2J\\x1b]0;pwned\\x07\\u202e\\u2028\\x85\\x0b\\x0c"
)

E = TypeVar("E", bound=BaseException)


def raised(error: E, cause: BaseException | None = None) -> E:
    try:
        raise error from cause
    except BaseException:
        return error


def is_safe(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n")) and "\nFORGED" not in text


def test_it_is_what_python_prints() -> None:
    """Frames, source lines, causes and contexts of an ordinary error are those of Python."""

    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        try:
            {}["key"]  # type: ignore[index]
        except KeyError:
            raise ValueError("no such thing")

    try:
        fail(10)
    except ValueError as error:
        caused = raised(LookupError("outer"), error)
    assert traceback_text(caused) == "".join(traceback.format_exception(caused)).rstrip("\n")


@pytest.mark.parametrize(
    "error",
    [
        ValueError(HOSTILE),
        KeyError(HOSTILE),
        OSError(2, HOSTILE, HOSTILE),
        SyntaxError(HOSTILE, (HOSTILE, 1, 1, HOSTILE)),
        UnicodeDecodeError("utf-8", b"\n", 0, 1, HOSTILE),
        SystemExit(HOSTILE),
        ExceptionGroup(HOSTILE, [ValueError(HOSTILE), raised(KeyError(HOSTILE))]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_text_forges_a_line__fault_71(error: BaseException) -> None:
    """Line breaks, terminal escapes and bidi overrides are escaped in every kind of error."""
    for shown in (raised(error), raised(TypeError(), error)):
        text = traceback_text(shown)
        assert is_safe(text)
        assert "FORGED" in text
        assert text.startswith("Traceback (most recent call last):\n")


def test_the_text_is_on_one_line__fault_71() -> None:
    """The last line is the error's, whole and escaped."""
    assert traceback_text(raised(ValueError(HOSTILE))).split("\n")[-1] == f"ValueError: {SAFE}"


def test_what_led_to_an_error_forges_no_line__fault_71() -> None:
    """Causes and contexts are escaped too."""
    text = traceback_text(raised(ValueError(), raised(KeyError(), raised(OSError(HOSTILE)))))
    assert is_safe(text)
    assert f"OSError: {SAFE}" in text.split("\n")


def test_notes_forge_no_line__fault_71() -> None:
    """Each note is one line below the error's."""
    error = ValueError("no")
    vars(error)["__notes__"] = [HOSTILE, "plain", 5]
    assert traceback_text(error).split("\n") == ["ValueError: no", SAFE, "plain", "5"]


def test_names_forge_no_line__fault_71() -> None:
    """File names, function names, source lines and class names are escaped as well."""
    file = "a\nFORGED \x1b.py"
    linecache.cache[file] = (1, None, ["FORGED\x1b = 1 / 0\n"], file)
    kind = type("Bad\nFORGED", (Exception,), {"__module__": "mod\x1b"})
    try:
        exec(compile("1 / 0", file, "exec"))
    except ZeroDivisionError as error:
        text = traceback_text(raised(kind(), error))
    finally:
        del linecache.cache[file]
    assert is_safe(text)
    assert 'File "a\\nFORGED \\x1b.py", line 1' in text
    assert text.endswith("mod\\x1b.Bad\\nFORGED")


def test_the_errors_of_a_group_are_shown() -> None:
    """Each error of a group stands below it, indented, with its own traceback."""
    lines = traceback_text(
        raised(ExceptionGroup("two", [raised(ValueError("one")), KeyError("other")]))
    ).split("\n")
    assert [line for line in lines if "ValueError: one" in line] == ["  | ValueError: one"]
    assert lines[-1] == "  | KeyError: 'other'"


def raising(*_: Any) -> Any:
    raise SystemExit(3)


class Lying(str):
    __slots__ = ()

    def isprintable(self) -> bool:
        return True

    def __getitem__(self, index: Any) -> str:
        return HOSTILE

    def __format__(self, spec: str) -> str:
        return HOSTILE


HostileType = type(
    "HostileType",
    (type,),
    {name: property(raising) for name in ("__name__", "__module__", "__mro__", "__bases__")}
    | dict.fromkeys(("__getattribute__", "__eq__", "__hash__", "__instancecheck__"), raising),
)


OVERRIDDEN: dict[str, Any] = {
    "__str__": raising,
    "__repr__": raising,
    "__eq__": raising,
    "__hash__": raising,
    "__bool__": raising,
    "__len__": raising,
    "__getattribute__": raising,
    "__class__": property(raising),
    "__cause__": property(raising),
    "__context__": property(raising),
    "__suppress_context__": property(raising),
    "__traceback__": property(raising),
    "__notes__": property(raising),
    "__dict__": property(raising),
    "args": property(raising),
    "exceptions": property(raising),
}


@pytest.mark.parametrize("name", OVERRIDDEN)
@pytest.mark.parametrize("base", [Exception, ExceptionGroup], ids=["plain", "group"])
def test_whatever_an_error_overrides_it_has_a_traceback__fault_66(name: str, base: Any) -> None:
    """Nothing that looking at an error raises takes its traceback away."""
    kind = type("Odd", (base,), {name: OVERRIDDEN[name]})
    error = kind("text") if base is Exception else kind("text", [ValueError("leaf")])
    text = traceback_text(raised(error))
    assert text.startswith("Traceback (most recent call last):\n")
    assert f"{__name__}.Odd: " in text
    assert base is Exception or "ValueError: leaf" in text


def test_a_class_that_makes_nothing_easy_has_a_name__fault_66() -> None:
    """The class of an error is named whatever its own class says."""
    error = HostileType("Odd", (Exception,), {})("text")
    text = traceback_text(error)
    assert text == f"{__name__}.Odd: text"


def test_a_text_that_lies_is_escaped__fault_71() -> None:
    """A text of the error's own kind is taken as it is, not as it says."""

    class Odd(Exception):
        def __str__(self) -> str:
            return Lying("no\nFORGED")

    assert traceback_text(Odd()).endswith(".Odd: no\\nFORGED")


def endless() -> BaseException:
    error, last = ValueError("first"), KeyError("last")
    error.__cause__, last.__cause__ = last, error
    return error


def long_chain() -> BaseException:
    error: BaseException = ValueError("first")
    for _ in range(5000):
        error = raised(ValueError("later"), error)
    return error


def deep_group() -> BaseException:
    error: Exception = ValueError("leaf")
    for _ in range(50):
        error = ExceptionGroup("nested", [error] * 50)
    return error


def itself() -> BaseException:
    group = ExceptionGroup("cyclic", [ValueError("leaf")])
    group.exceptions[0].__cause__ = group
    return group


def recursion() -> BaseException:
    def even(n: int) -> None:
        odd(n)

    def odd(n: int) -> None:
        even(n)

    try:
        even(0)
    except RecursionError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("make", [endless, long_chain, deep_group, itself, recursion])
def test_a_traceback_is_bounded(make: Callable[[], BaseException]) -> None:
    """However long a chain, and however deep a group, somebody can read it."""
    assert 0 < len(traceback_text(make())) < 200_000


def test_long_texts_are_cut() -> None:
    """A megabyte of text is not repeated into the log."""
    error = ValueError("x" * 1_000_000)
    vars(error)["__notes__"] = ["y" * 1_000_000] * 1000
    assert len(traceback_text(error)) < 100_000


def test_the_users_interrupt_passes() -> None:
    """Ctrl-C while an error is asked for its text is the user's."""

    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        traceback_text(Interrupted())
