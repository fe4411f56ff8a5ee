"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import json
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
