"""Text that is safe to keep in a record, a log line and JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stoat_jobs._display import printable, safe_text
from stoat_jobs._text import ERROR_LIMIT, SHOWN_LIMIT, describe, leaf_errors, one_line, shown

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@settings(deadline=None)
@given(ANY_TEXT, st.integers(1, 50))
@example("a\nb\r\nc\u2028d\u0085e\x0b\x0c\x1c", 50)
@example("\ud800\udfff", 50)
@example("\x1b[31mred", 50)
def test_one_line_is_one_safe_line(text: str, limit: int) -> None:
    """Whatever comes in, one line within the limit comes out, which UTF-8 and JSON can hold."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert json.loads(json.dumps(line).encode()) == line
    assert line.encode().decode() == line
    assert "\x1b" not in line


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_one_line_leaves_plain_text_alone(text: str) -> None:
    """Letters of any script, digits, signs and spaces stay as they are."""
    line = f"{text} {text}"
    assert one_line(line, len(line)) == line


def test_one_line_shows_what_it_escaped() -> None:
    """Escapes are those of Python, so that a reader sees what stood there."""
    assert one_line("a\nb\tc\x00d\ud800", 80) == "a\\nb\\tc\\x00d\\ud800"


JOINED = {
    "persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "hindi": "\u0915\u094d\u200d\u0937",
    "family": "\U0001f469\u200d\U0001f52c",
}
HIDDEN = "\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff\u00ad\u061c\u180e\U000e0041"
SAFE = {
    "one_line": lambda text: one_line(text, 80),
    "shown": lambda text: shown(text)[1:-1],
    "printable": printable,
    "safe_text": safe_text,
}


@pytest.mark.parametrize("safe", SAFE.values(), ids=SAFE)
@pytest.mark.parametrize("text", JOINED.values(), ids=JOINED)
def test_joiners_are_shown_as_they_are(text: str, safe: Callable[[str], str]) -> None:
    """U+200C and U+200D belong to Persian, Hindi and family emoji."""
    assert safe(text) == text
    assert safe(f"{text}\n") == f"{text}\\n"


@pytest.mark.parametrize("safe", SAFE.values(), ids=SAFE)
@pytest.mark.parametrize("char", HIDDEN, ids=ascii)
def test_what_hides_or_turns_text_is_escaped(char: str, safe: Callable[[str], str]) -> None:
    """Controls, bidi overrides and other formats could show a text as another one."""
    assert safe(f"a\u200d{char}b") == f"a\u200d{ascii(char)[1:-1]}b"


def test_shown_keeps_an_escape_that_was_in_the_text() -> None:
    """What only looks like the escape of a joiner stays what it is."""
    assert shown("a\\u200db\u200d") == "'a\\\\u200db\u200d'"
    assert shown("a\\\u200d") == "'a\\\\\u200d'"


@pytest.mark.parametrize("text", ["a" * 11, "a" * 9 + "\n\n", "\n" * 11], ids=ascii)
def test_one_line_marks_a_cut(text: str) -> None:
    """A text that was cut ends with an ellipsis, so that nobody takes it for the whole."""
    line = one_line(text, 10)
    assert len(line) == 10
    assert line.endswith("…")


def test_one_line_marks_the_cut_of_what_cannot_be_printed() -> None:
    """The cut is marked too where only what was cut off cannot be printed."""
    assert one_line("a" * 10 + "\n", 10) == "a" * 9 + "…"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class NotText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ValueError("no such file"), "no such file", id="text"),
        pytest.param(ValueError("two\nlines"), "two\\nlines", id="lines"),
        pytest.param(ValueError(), "ValueError without a message", id="no text"),
        pytest.param(ValueError(""), "ValueError without a message", id="empty text"),
        pytest.param(KeyError("size"), "'size'", id="KeyError"),
        pytest.param(
            Unprintable(), "Unprintable, whose text cannot be shown (RuntimeError)", id="raises"
        ),
        pytest.param(NotText(), "NotText, whose text cannot be shown (TypeError)", id="no str"),
        pytest.param(Exits(), "Exits, whose text cannot be shown (SystemExit)", id="exits"),
        pytest.param(SystemExit(2), "2", id="SystemExit"),
    ],
)
def test_describe_says_something_of_every_error(error: BaseException, text: str) -> None:
    """Every exception has one line of text, also one that has none or cannot show it."""
    assert describe(error) == text


class Unreadable(str):
    """A text that makes nothing easy."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise ValueError

    def __getitem__(self, index: Any) -> str:
        raise ValueError


class Unwritable(float):
    """A number that raises where its text is wanted."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        ("\ud800", r"'\ud800'"),
        (Unreadable("abc"), "'abc'"),
        (None, "None"),
        (2.5, "2.5"),
        (UUID(int=7), "UUID('00000000-0000-0000-0000-000000000007')"),
        ([1], "<list>"),
        (10**5000, "<int>"),
        (Unwritable(2.5), "<Unwritable>"),
    ],
    ids=["lines", "surrogate", "subclass", "none", "float", "uuid", "list", "number", "enum"],
)
def test_shown_is_the_value_as_code(value: object, text: str) -> None:
    """An error shows what it was given, or at least of what kind it was."""
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 1_000_000, ["x"] * 1000, type("X" * 1000, (), {})()])
def test_shown_is_short(value: object) -> None:
    """Nobody has to read, or to log, a megabyte."""
    assert len(shown(value)) <= SHOWN_LIMIT


def test_describe_is_bounded() -> None:
    """The text of an error is at most 1,000 characters long."""
    assert ERROR_LIMIT == 1000
    assert len(describe(ValueError("x" * 5000))) == 1000
    assert len(describe(ExceptionGroup("many", [ValueError("y" * 300)] * 50))) == 1000


def test_describe_names_the_leaves_of_a_group() -> None:
    """A group says what its errors say, at every depth, and not its own number of them."""
    group = ExceptionGroup(
        "outer", [ValueError("one"), ExceptionGroup("inner", [KeyError("two"), OSError("three")])]
    )
    assert describe(group) == (
        "ExceptionGroup of 3: ValueError: one; KeyError: 'two'; OSError: three"
    )


def test_describe_lets_the_users_interrupt_pass() -> None:
    """Ctrl-C while an error is being shown is the user's, and passes."""

    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        describe(Interrupted())


def test_leaf_errors_of_one_error_is_itself() -> None:
    """An error that is no group is its own only leaf."""
    error = asyncio.CancelledError()
    assert leaf_errors(error) == [error]


class Hostile(Exception):
    @property
    def exceptions(self) -> list[BaseException]:
        raise LookupError("not even this")


class Cyclic(Exception):
    @property
    def exceptions(self) -> list[BaseException]:
        return [self]


class NoErrors(Exception):
    exceptions = ("an", "attribute", "of", "its", "own")


@pytest.mark.parametrize("error", [Hostile("x"), Cyclic("x"), NoErrors("x")])
def test_an_attribute_named_exceptions_hurts_nobody(error: Exception) -> None:
    """An error of its own kind with an odd `exceptions` attribute is described all the same."""
    assert "x" in describe(error)


def test_a_deeply_nested_group_is_described() -> None:
    """A group nested deeper than Python recurses is described by its leaf like any other."""
    error: Exception = ValueError("the leaf")
    for _ in range(5000):
        error = ExceptionGroup("wrapped", [error])
    assert describe(error) == "ExceptionGroup of 1: ValueError: the leaf"
