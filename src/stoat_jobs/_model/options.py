"""The options of one submission, checked."""

from __future__ import annotations

from datetime import timedelta

from .._text import WHY_NO_NUL, shown
from .settings import check_finite

KEY_LIMIT = 1024
LIST_LIMIT = 1000
DELAY_LIMIT = timedelta(days=36_525).total_seconds()


def checked_key(key: str | None) -> str | None:
    """The key of a submission, as plain text.

    Raises:
        TypeError: it is not text.
        ValueError: it is empty, is longer than 1 KiB in UTF-8, is not valid Unicode, or contains
            U+0000.
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
    if "\0" in plain:
        raise ValueError(f"key must not contain U+0000, {WHY_NO_NUL}")
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
