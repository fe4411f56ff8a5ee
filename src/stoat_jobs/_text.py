"""Makes text safe for a record, a log line and JSON."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import cast
from uuid import UUID

ERROR_LIMIT = 1000
SHOWN_LIMIT = 200

WHY_NO_NUL = "which not every engine can keep: leave it out, or encode the text"
"""How an error goes on that names U+0000 in what engines compare as text."""

_MOST_ERRORS = 10_000
_MOST_PARTS = 20
_LEAVES_SHOWN = 100

# Persian, Hindi and family emoji are not displayed correctly without them.
_JOINERS = "\u200c\u200d"
# How repr() writes a joiner. A backslash of the text is doubled there, so their number counts.
_ESCAPED_JOINER = re.compile(r"(?<!\\)((?:\\\\)*)\\u200([cd])")

# Types whose values are shown: the text of others may take seconds, or all memory.
_SHOWN_BY_REPR = (bool, int, float, UUID, type(None))


def one_line(text: str, limit: int) -> str:
    """*text* on one line, at most *limit* characters long.

    Line breaks, control characters, bidirectional controls and lone surrogates (as in file
    names that cannot be decoded) are escaped, so that no text can forge a log line or break
    JSON. Zero-width joiners stay.

    >>> one_line("two\\nlines", 80)
    'two\\\\nlines'
    """
    text = str.__str__(text)  # an exact str: a subclass may override the methods used here
    if not text.isprintable():
        # Escape only what is kept, and one character more, which shows that there is a rest.
        text = "".join(map(_escaped, text[: limit + 1]))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == "Zs":  # a space of some width
        return char
    return char.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """*value* for an error message: short, and on one line, whatever it is.

    >>> shown("no\\nline"), shown(None)
    ("'no\\\\nline'", 'None')
    """
    if issubclass(type(value), str):  # isinstance() would trust the value's __class__
        start = str.__getitem__(cast(str, value), slice(SHOWN_LIMIT))  # not a subclass's override
        return one_line(_ESCAPED_JOINER.sub(_joiner, repr(start)), SHOWN_LIMIT)
    text = f"<{type(value).__name__}>"
    if type(value) in _SHOWN_BY_REPR:
        with suppress(ValueError):  # an integer of thousands of digits
            text = repr(value)
    return one_line(text, SHOWN_LIMIT)


def nearest_first(name: object, known: Collection[str]) -> list[str]:
    """*known*, those that *name* may be a misspelling of first, then the others in order.

    >>> nearest_first("thumbnial", ["archive", "scan", "thumbnail"])
    ['thumbnail', 'archive', 'scan']
    """
    near: list[str] = []
    if isinstance(name, str):
        start = str.__getitem__(name, slice(SHOWN_LIMIT))  # longer ones would take seconds
        near = difflib.get_close_matches(start, known, n=len(known) or 1, cutoff=0.6)
    return near + [each for each in sorted(known) if each not in near]


def some(separator: str, parts: Sequence[str]) -> str:
    """The first of *parts*, and how many more there are."""
    more = len(parts) - _MOST_PARTS
    rest = [f"and {more} more"] if more > 0 else []
    return separator.join([*parts[:_MOST_PARTS], *rest])


def _joiner(escape: re.Match[str]) -> str:
    return escape[1] + _JOINERS["cd".index(escape[2])]


# Read the real attributes of a class and a group: a metaclass, a property or __getattribute__
# may lie or raise.
_name = vars(type)["__name__"].__get__
_members = vars(BaseExceptionGroup)["exceptions"].__get__


def name_of(kind: type) -> str:
    """The real name of a class, on one line, whatever its metaclass says.

    >>> name_of(ValueError)
    'ValueError'
    """
    return one_line(str.__str__(_name(kind)), SHOWN_LIMIT)


def describe(error: BaseException) -> str:
    """*error* in one line that is never empty; a group names its leaf errors.

    Raises only ``KeyboardInterrupt``, whatever the error's special methods do.
    """
    leaves = leaf_errors(error)
    if leaves[0] is error:
        return one_line(_describe_one(error), ERROR_LIMIT)
    shown = leaves[:_LEAVES_SHOWN]  # more would not fit into the limit
    parts = "; ".join(f"{name_of(type(leaf))}: {_describe_one(leaf)}" for leaf in shown)
    return one_line(f"{name_of(type(error))} of {len(leaves)}: {parts}", ERROR_LIMIT)


def _describe_one(error: BaseException) -> str:
    name = name_of(type(error))
    try:
        # An exact str: the isprintable() of a subclass may lie.
        text = str.__str__(str(error))[: ERROR_LIMIT + 1]
    except KeyboardInterrupt:
        raise
    except BaseException as unprintable:
        return f"{name}, whose text cannot be shown ({name_of(type(unprintable))})"
    return text or f"{name} without a message"


def leaf_errors(error: BaseException) -> list[BaseException]:
    """The errors at the leaves of a group, or *error* itself; at most 10,000.

    A group that is in several others, or in itself, is read once.
    """
    found: list[BaseException] = []
    left, groups = [error], set[int]()
    while left and len(found) < _MOST_ERRORS:  # no recursion: groups may be nested too deep for it
        each = left.pop()
        members = members_of(each)
        if not members:
            found.append(each)
        elif id(each) not in groups:
            groups.add(id(each))
            left.extend(reversed(members))
    return found or [error]


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The errors in a group; empty if *error* is not a group."""
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = _members(error)
    return members
