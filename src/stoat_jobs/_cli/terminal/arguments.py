"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any


def option(text: str) -> tuple[str, Any]:
    """A name and its value, which is JSON or else a string."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def item(text: str) -> tuple[str, str | bool | int | float]:
    """A name and its value as over HTTP: a scalar as JSON has it, or else the text itself.

    >>> item("user=ada"), item("n=4"), item('n="4"'), item("n=null")
    (('user', 'ada'), ('n', 4), ('n', '4'), ('n', 'null'))
    """
    key, value = option(text)
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    is_scalar = isinstance(value, str | bool | int | float) and not is_infinite
    return key, value if is_scalar else text.partition("=")[2]
