"""Handles standard output whose reader has gone."""

from __future__ import annotations

import os
import sys


def discard_output() -> None:
    """Discard what is left to write, because flushing it at exit would fail or block."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
