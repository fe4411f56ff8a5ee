"""Looks for a secret wherever an error, or what prints it, could show it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """*error*, its causes and contexts, also those that a traceback does not show."""
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [it for it in (each.__cause__, each.__context__) if it is not None]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions


def texts_of(error: BaseException) -> str:
    """All that *error* and its chain say of themselves."""
    parts = [traceback.format_exception(error)]
    parts += [
        [repr(each), str(each), repr(each.args), repr(vars(each))] for each in chain_of(error)
    ]
    return "\n".join(text for part in parts for text in part)
