"""Pages of records, and the cursors between them.

A cursor is the place of the last record of a page, in the order of submission. It stays right
whatever happens to the records around it. It is opaque to callers, and is checked, so that one
that was made up is an error and not a page of something.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from .._text import shown
from .records import JobResult

R = TypeVar("R", default=Any)

_PLACE_BYTES = 8
_CHECK_BYTES = 4
_CURSOR_LENGTH = 16


class JobPage(Sequence["JobResult[R]"], Generic[R]):  # noqa: PLW1641 - its records have no hash
    """Some records, newest first, and where the next page begins; an immutable sequence.

    >>> page = JobPage([], cursor=None)
    >>> list(page), page.cursor
    ([], None)
    """

    __slots__ = ("_cursor", "_records")

    def __init__(self, records: Iterable[JobResult[R]], cursor: str | None = None) -> None:
        self._records = tuple(records)
        self._cursor = cursor

    @property
    def cursor(self) -> str | None:
        """For ``list_jobs(before=...)``, which goes on where this page ended; None at the end."""
        return self._cursor

    @overload
    def __getitem__(self, index: int) -> JobResult[R]: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[JobResult[R], ...]: ...

    def __getitem__(self, index: int | slice) -> JobResult[R] | tuple[JobResult[R], ...]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[JobResult[R]]:
        return iter(self._records)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, JobPage):
            return self._records == other._records and self._cursor == other._cursor
        return list(self._records) == other if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        return f"JobPage({list(self._records)!r}, cursor={self._cursor!r})"


def cursor_at(place: int) -> str:
    """The cursor of a *place* in the order of submission, from 0 to 2**64 - 1."""
    packed = place.to_bytes(_PLACE_BYTES, "big")
    return urlsafe_b64encode(packed + _check(packed)).decode()


def place_of(cursor: str) -> int:
    """The place that :func:`cursor_at` made *cursor* of.

    Raises:
        TypeError: it is not text.
        ValueError: it is no such cursor.
    """
    if not isinstance(cursor, str):
        raise TypeError(f"a cursor must be text, not {type(cursor).__name__}")
    plain = str.__str__(cursor)
    try:
        raw = urlsafe_b64decode(plain) if len(plain) == _CURSOR_LENGTH else b""
    except ValueError:
        raw = b""
    packed, check = raw[:_PLACE_BYTES], raw[_PLACE_BYTES:]
    if len(check) != _CHECK_BYTES or check != _check(packed):
        raise ValueError(f"no cursor: {shown(cursor)}; give the `cursor` of a page as it is")
    return int.from_bytes(packed, "big")


def _check(packed: bytes) -> bytes:
    return blake2b(packed, digest_size=_CHECK_BYTES).digest()
