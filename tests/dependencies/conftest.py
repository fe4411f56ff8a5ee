"""A database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from ..support import notes

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file with one note in it, number 1."""
    path = tmp_path / "notes.db"
    notes.create(path)
    return path


@pytest.fixture
async def engine(database: Path) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy's way to the same file."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine)
