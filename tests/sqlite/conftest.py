"""A file, and a store that has it open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stoat_jobs._sqlite.store import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open()
    yield store
    store.close()
