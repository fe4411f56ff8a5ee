"""Digests of payloads, which are equal if the payloads are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from .frozen import FrozenPayload

_BYTES = 16


def digest_of(payload: FrozenPayload) -> str:
    """A digest of *payload*, the same in every process.

    Make it of the payload that ``freeze`` returns, and keep it: once the arguments are dropped,
    the order of a set in the JSON is taken for a difference.
    """
    plain = _in_order(payload.arguments, json.loads(payload.text))
    return blake2b(_written(plain).encode(), digest_size=_BYTES).hexdigest()


def _written(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def _in_order(value: Any, plain: Any) -> Any:
    """*plain*, the JSON of *value*, with the items of sets in an order that only they decide."""
    if isinstance(plain, list):
        if isinstance(value, (set, frozenset)):
            return sorted(plain, key=_written)
        parts = list(value) if isinstance(value, (list, tuple)) else []
        return list(map(_in_order, parts, plain)) if len(parts) == len(plain) else plain
    if isinstance(plain, dict):
        return {name: _in_order(_part(value, name), part) for name, part in plain.items()}
    return plain


def _part(value: Any, name: str) -> Any:
    """What *name* stands for in a mapping, or in an instance of a class with fields."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
