"""The store: one connection that writes, and one that reads beside it.

- Only the writing connection makes checkpoints. The other one could not if it wanted to.
- Every change is one transaction. What is acknowledged was committed to files that are still in
  their places.
- A failure leaves no transaction behind, so the next write needs no restart.
"""

# ruff: noqa: S608 - all names in the statements are our own

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from .._model.status import TERMINAL
from .._stored.store import FinishedJob, StoredJob
from .connections import connect, look_at, make_file, set_up
from .file_systems import check_file_system
from .hold import FileHold
from .reasons import errors_of
from .rows import COLUMNS, FINISHED_COLUMNS, finished_of, job_of, row_of
from .schema import check_sqlite, prepare, roll_back

_IDS_A_QUERY = 500  # older SQLites take no more than 999 variables
_IS_LIVE = f"status not in ({', '.join(map(repr, map(str, TERMINAL)))})"

_INSERT = f"insert into job ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"
# Without the id, whose index would be written again.
_UPDATE = f"update job set {', '.join(f'{name} = ?' for name in COLUMNS[2:])} where number = ?"
_KEEP_PAYLOAD = "insert into payload (number, json) values (?, ?)"
_KEEP_RESULT = "insert or replace into result (number, json) values (?, ?)"
_DROP_PAYLOAD = "delete from payload where number = ?"
_DROP = "delete from job where job_id = ?"

SELECT = (
    f"select {', '.join(f'job.{name}' for name in COLUMNS)}, payload.json, result.json"
    " from job left join payload using (number) left join result using (number)"
)
"""The rows that ``job_of`` reads."""


class SqliteStore:
    """Keeps jobs in the file *path*, which no other process has open at the same time."""

    def __init__(
        self, path: Path, *, synchronous: str = "full", unsafe_filesystem: bool = False
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._unsafe_filesystem = unsafe_filesystem
        self._hold = FileHold(path)
        self._connections: list[sqlite3.Connection] = []

    def open(self) -> None:
        check_sqlite()
        if not self._unsafe_filesystem:
            check_file_system(self.path)
        self._hold.take()
        try:
            with errors_of(self.path):
                self._connect()
            self._hold.note_files()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        make_file(self.path)
        look_at(self.path)
        self._writer = self._connection("rw")
        set_up(self._writer, self.path, self._synchronous)
        prepare(self._writer, self.path)
        self._reader = self._connection("ro")

    def _connection(self, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
        connection = connect(self.path, mode)
        self._connections.append(connection)
        self._hold.keep(connection)
        return connection

    def live(self) -> Iterator[StoredJob]:
        with errors_of(self.path):
            yield from map(
                job_of, self._writer.execute(f"{SELECT} where {_IS_LIVE} order by job.number")
            )

    def finished(self) -> Iterator[FinishedJob]:
        query = (
            f"select {', '.join(FINISHED_COLUMNS)} from job where not ({_IS_LIVE}) order by number"
        )
        with errors_of(self.path):
            yield from map(finished_of, self._writer.execute(query))

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        self._hold.check()
        with errors_of(self.path):
            roll_back(self._writer)  # what an earlier failure could not
            self._writer.execute("begin immediate")
            try:
                self._change(new, changed, gone)
                self._writer.execute("commit")
            except BaseException:
                roll_back(self._writer)
                raise
        self._hold.check()

    def _change(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        many = self._writer.executemany
        many(_INSERT, map(row_of, new))
        many(_KEEP_PAYLOAD, [(job.number, job.payload) for job in new if job.payload])
        many(_UPDATE, [(*row[2:], row[0]) for row in map(row_of, changed)])
        many(_DROP_PAYLOAD, [(job.number,) for job in changed if _drops_payload(job)])
        many(_KEEP_RESULT, [(job.number, job.result) for job in (*new, *changed) if job.result])
        many(_DROP, [(job_id,) for job_id in gone])

    def read(self, job_ids: Sequence[str]) -> list[StoredJob]:
        self._hold.check()
        found: list[StoredJob] = []
        with errors_of(self.path):
            for at in range(0, len(job_ids), _IDS_A_QUERY):
                ids = job_ids[at : at + _IDS_A_QUERY]
                query = f"{SELECT} where job_id in ({', '.join('?' * len(ids))})"
                found += map(job_of, self._reader.execute(query, ids))
        return found

    def close(self) -> None:
        self._hold.unguard()
        try:
            while self._connections:
                connection = self._connections.pop()
                if not self._hold.is_forked_child:
                    _close(connection)
        finally:
            self._hold.release()


def _drops_payload(job: StoredJob) -> bool:
    """Whether *job*, which has changed, needs its payload no longer; a live one has it still."""
    return not job.payload and job.record.status in TERMINAL


def _close(connection: sqlite3.Connection) -> None:
    """Close *connection*; also leave no WAL, unless somebody still reads from it."""
    with suppress(sqlite3.Error):
        connection.execute("pragma busy_timeout = 0")
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
