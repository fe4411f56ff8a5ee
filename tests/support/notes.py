"""A database of notes, for sqlite3 and for SQLAlchemy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from stoat_jobs import JobContext


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


def create(database: Path) -> None:
    """A table with one note, number 1."""
    with closing(connect(database)) as connection, connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        connection.execute("INSERT INTO notes (text) VALUES ('milk')")


def connect(database: Path) -> sqlite3.Connection:
    """A connection that FastAPI may hand from thread to thread."""
    return sqlite3.connect(database, check_same_thread=False)


def read(connection: sqlite3.Connection, note_id: int) -> str:
    found = connection.execute("SELECT text FROM notes WHERE id = ?", [note_id]).fetchone()
    return "no such note" if found is None else str(found[0])


async def read_async(session: AsyncSession, note_id: int) -> str:
    note = await session.get(Note, note_id)
    return "no such note" if note is None else note.text


def read_in_job(ctx: JobContext, note_id: int) -> str:
    """A handler that opens what it needs."""
    with closing(connect(ctx.app.state.database)) as connection:
        return read(connection, note_id)


async def read_in_async_job(ctx: JobContext, note_id: int) -> str:
    """A handler that opens what it needs, from the app's factory."""
    async with ctx.app.state.sessions() as session:
        return await read_async(session, note_id)
