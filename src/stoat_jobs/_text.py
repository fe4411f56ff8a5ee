"""Text made safe to keep in a record, a log line and JSON."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import cast
from uuid import UUID

ERROR_LIMIT = 1000
SHOWN_LIMIT = 200

_MOST_ERRORS = 10_000
_LEAVES_SHOWN = 100

# Persian, Hindi and the emoji of families are not themselves without them.
_JOINERS = "\u200c\u200d"
# As repr() has them; after an odd number of backslashes, since one in the text is doubled.
_ESCAPED_JOINER = re.compile(r"(?<!\\)((?:\\\\)*)\\u200([cd])")

# What is shown as it is: the text of anything else may take seconds, and all memory.
_SHORT = (bool, int, float, UUID, type(None))


def one_line(text: str, limit: int) -> str:
    """*text* on one line, at most *limit* characters long.

    Line breaks, control characters, what turns the direction of text, and lone surrogates
    (undecodable file names have them) are escaped, so that nothing can forge a log line or
    break JSON. Zero-width joiners stay.

    >>> one_line("two\\nlines", 80)
    'two\\\\nlines'
    """
    text = str.__str__(text)  # a copy of a subclass's: its own methods may say anything
    if not text.isprintable():
        # What is cut off below need not be escaped; one character more, to see that it is.
        text = "".join(map(_escaped, text[: limit + 1]))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == "Zs":  # a space of some width
        return char
    return char.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """*value* as an error names what it was given: one line, short whatever it is.

    >>> shown("no\\nline"), shown(None)
    ("'no\\\\nline'", 'None')
    """
    if issubclass(type(value), str):  # isinstance() would ask the value for its __class__
        start = str.__getitem__(cast(str, value), slice(SHOWN_LIMIT))  # as it is, not as it says
        return one_line(_ESCAPED_JOINER.sub(_joiner, repr(start)), SHOWN_LIMIT)
    text = f"<{type(value).__name__}>"
    if type(value) in _SHORT:
        with suppress(ValueError):  # an integer of thousands of digits
            text = repr(value)
    return one_line(text, SHOWN_LIMIT)


def _joiner(escape: re.Match[str]) -> str:
    return escape[1] + _JOINERS["cd".index(escape[2])]


# What a class and a group really have: a metaclass, a property or __getattribute__ may say
# anything else, or raise.
_name = vars(type)["__name__"].__get__
_members = vars(BaseExceptionGroup)["exceptions"].__get__


def name_of(kind: type) -> str:
    """The name of a class, on one line, whatever its metaclass says.

    >>> name_of(ValueError)
    'ValueError'
    """
    return one_line(str.__str__(_name(kind)), SHOWN_LIMIT)


def describe(error: BaseException) -> str:
    """*error* in one line that is never empty; a group names its leaf errors.

    Whatever its special methods do, it raises nothing but ``KeyboardInterrupt``.
    """
    leaves = leaf_errors(error)
    if leaves[0] is error:
        return one_line(_describe_one(error), ERROR_LIMIT)
    shown = leaves[:_LEAVES_SHOWN]  # the text ends before
    parts = "; ".join(f"{name_of(type(leaf))}: {_describe_one(leaf)}" for leaf in shown)
    return one_line(f"{name_of(type(error))} of {len(leaves)}: {parts}", ERROR_LIMIT)


def _describe_one(error: BaseException) -> str:
    name = name_of(type(error))
    try:
        # Copied: of a subclass of str, isprintable() may lie.
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
    while left and len(found) < _MOST_ERRORS:  # not by recursion: groups may be nested deeper
        each = left.pop()
        members = members_of(each)
        if not members:
            found.append(each)
        elif id(each) not in groups:
            groups.add(id(each))
            left.extend(reversed(members))
    return found or [error]


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The errors in a group; none where it is not a group, or does not let them be seen."""
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = _members(error)
    return members
