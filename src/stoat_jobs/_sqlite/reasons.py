"""What SQLite's errors mean to whoever runs the application: one line each, with the remedy."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def reason_of(error: sqlite3.Error, path: Path) -> str:
    """What *error* says about the database at *path*, in one line that begins with the path."""
    raise NotImplementedError
