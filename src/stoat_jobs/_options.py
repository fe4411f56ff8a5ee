"""The options of one submission, checked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

KEY_LIMIT = 1024
METADATA_LIMIT = 4096
NO_METADATA: Mapping[str, str] = MappingProxyType({})


def check_key(key: str | None) -> None:
    """Check a submission's key.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty, is longer than 1 KiB in UTF-8, or is no valid Unicode.
    """
    if key is None:
        return
    if not isinstance(key, str):
        raise TypeError(f"key must be text, not {type(key).__name__}")
    if not key:
        raise ValueError("key must not be empty; leave it out, or give None, for no key")
    if (size := len(key.encode())) > KEY_LIMIT:
        raise ValueError(f"key must not exceed {KEY_LIMIT} bytes, not {size}; hash a longer one")


def checked_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """A read-only copy of a submission's metadata.

    Raises:
        TypeError: it is no mapping of text to text.
        ValueError: it is larger than 4 KiB in UTF-8, or is no valid Unicode.
    """
    if metadata is None:
        return NO_METADATA
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must map text to text, not be {type(metadata).__name__}")
    pairs = dict(metadata)
    size = sum(_size(name, value) for name, value in pairs.items())
    if size > METADATA_LIMIT:
        raise ValueError(f"metadata must not exceed {METADATA_LIMIT} bytes in all, not {size}")
    return MappingProxyType(pairs) if pairs else NO_METADATA


def _size(name: Any, value: Any) -> int:
    if isinstance(name, str) and isinstance(value, str):
        return len(name.encode()) + len(value.encode())
    raise TypeError(f"metadata must map text to text, not {name!r} to {type(value).__name__}")
