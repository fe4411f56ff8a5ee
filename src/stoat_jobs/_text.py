"""Text made safe to keep in a record, a log line and JSON."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

ERROR_LIMIT = 1000
SHOWN_LIMIT = 200

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


def describe(error: BaseException) -> str:
    """*error* in one line that is never empty; a group names its leaf errors."""
    leaves = leaf_errors(error)
    if leaves == [error]:
        return one_line(_describe_one(error), ERROR_LIMIT)
    parts = "; ".join(f"{type(leaf).__name__}: {_describe_one(leaf)}" for leaf in leaves)
    return one_line(f"{type(error).__name__} of {len(leaves)}: {parts}", ERROR_LIMIT)


def _describe_one(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return str(error) or f"{name} without a message"
    except BaseException as unprintable:
        if isinstance(unprintable, KeyboardInterrupt):
            raise
        return f"{name}, whose text cannot be shown ({type(unprintable).__name__})"


def leaf_errors(error: BaseException) -> list[BaseException]:
    """The errors at the leaves of a group, or *error* itself.

    By the name of the class, since the groups of Python 3.10 come from a backport.
    """
    found, left = [], [error]
    while left:  # not by recursion: a group may be nested deeper than Python recurses
        each = left.pop()
        if members := _members(each):
            left.extend(reversed(members))
        else:
            found.append(each)
    return found


def _members(error: Any) -> tuple[BaseException, ...]:
    """The errors in a group; none where it is no group, or does not let them be seen."""
    if all(base.__name__ != "BaseExceptionGroup" for base in type(error).__mro__):
        return ()
    try:
        return tuple(error.exceptions)
    except Exception:
        return ()
