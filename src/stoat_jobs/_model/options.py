"""The options of one submission, checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from .._text import describe, shown
from .settings import check_finite

KEY_LIMIT = 1024
METADATA_LIMIT = 4096
LIST_LIMIT = 1000
DELAY_LIMIT = timedelta(days=36_525).total_seconds()
NO_METADATA: Mapping[str, str] = MappingProxyType({})


def checked_key(key: str | None) -> str | None:
    """The key of a submission, as plain text.

    Raises:
        TypeError: it is not text.
        ValueError: it is empty, is longer than 1 KiB in UTF-8, or is not valid Unicode.
    """
    if key is None:
        return None
    if not isinstance(key, str):
        raise TypeError(f"key must be text, not {type(key).__name__}")
    plain = str.__str__(key)
    if not plain:
        raise ValueError("key must not be empty; leave it out, or give None, for no key")
    if (size := len(plain.encode())) > KEY_LIMIT:
        raise ValueError(f"key must not exceed {KEY_LIMIT} bytes, not {size}; hash a longer one")
    return plain


def checked_delay(delay: float | timedelta) -> float:
    """The seconds that a submission waits at least.

    Raises:
        TypeError: it is neither a number nor a ``timedelta``.
        ValueError: it is negative, NaN or infinite, or longer than a hundred years.
    """
    if isinstance(delay, timedelta):
        delay = timedelta.total_seconds(delay)
    seconds = check_finite(delay, "delay")
    if seconds > DELAY_LIMIT:
        raise ValueError(f"delay must not exceed a hundred years, not be {seconds:g} seconds")
    return seconds


def is_kept(unique: str, key: str | None) -> bool:
    """Whether *key* is held as long as the record is kept.

    Raises:
        TypeError: *unique* is not text.
        ValueError: there is no such word, or no key.
    """
    if not isinstance(unique, str):
        raise TypeError(f"unique must be 'live' or 'kept', not {type(unique).__name__}")
    plain = str.__str__(unique)
    if plain not in ("live", "kept"):
        raise ValueError(f"unique must be 'live' or 'kept', not {shown(plain)}")
    if key is None and plain == "kept":
        raise ValueError("unique='kept' has no effect without a key: give one, or leave it out")
    return plain == "kept"


def checked_job_type(job_type: str | None) -> str | None:
    """A job type to look for, as plain text; None matches any.

    Raises:
        TypeError: it is not text.
    """
    if job_type is None:
        return None
    if not isinstance(job_type, str):
        raise TypeError(f"job_type must be a name, not {type(job_type).__name__}")
    return str.__str__(job_type)


def checked_limit(limit: int) -> int:
    """How many records to list, as a plain int.

    Raises:
        TypeError: it is not an int.
        ValueError: it is negative, or over 1,000.
    """
    if not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {type(limit).__name__}")
    plain = int.__int__(limit)
    if plain < 0:
        raise ValueError(f"limit must not be negative: {shown(plain)}")
    if plain > LIST_LIMIT:
        raise ValueError(f"limit must not exceed {LIST_LIMIT}, not {shown(plain)}: read by pages")
    return plain


def checked_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """A read-only copy of the metadata of a submission.

    Raises:
        TypeError: it is not a mapping of text to text, or cannot be read.
        ValueError: it is larger than 4 KiB in UTF-8, or is not valid Unicode.
    """
    if metadata is None:
        return NO_METADATA
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must map text to text, not be {type(metadata).__name__}")
    pairs = dict(map(_plain, _items(metadata)))
    size = sum(len(name.encode()) + len(value.encode()) for name, value in pairs.items())
    if size > METADATA_LIMIT:
        raise ValueError(f"metadata must not exceed {METADATA_LIMIT} bytes in all, not {size}")
    return MappingProxyType(pairs) if pairs else NO_METADATA


def _items(metadata: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    try:
        return list(dict(metadata).items())
    except Exception as error:  # the user's own mapping
        raise TypeError(f"metadata cannot be read: {describe(error)}") from error


def _plain(pair: tuple[Any, Any]) -> tuple[str, str]:
    name, value = pair
    if isinstance(name, str) and isinstance(value, str):
        return str.__str__(name), str.__str__(value)
    kind = type(value).__name__
    raise TypeError(f"metadata must map text to text, not {shown(name)} to {kind}")
