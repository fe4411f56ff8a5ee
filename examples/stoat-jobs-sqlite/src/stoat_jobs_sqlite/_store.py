"""The store: huey's key-value table in an SQLite file, with one row for each job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from huey.storage import SqliteStorage  # type: ignore[import-untyped]

from stoat_jobs.backends import StoredJob

_SAVE = "insert or replace into kv (queue, key, value) values (?, ?, ?)"


class SqliteStore:
    """Keeps jobs in *path*, which no other process can open at the same time."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self._path = path.absolute()
        self._fsync = fsync
        # With no cache size or journal mode to set, huey runs no statement while it connects:
        # one that failed there would leave the connection open.
        self._storage = SqliteStorage(
            "stoat-jobs",
            str(self._path),
            cache_mb=0,
            journal_mode=None,
            timeout=0,
            create_tables=False,
        )

    def open(self) -> None:
        try:
            self._open()
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {self._reason(error)}") from error

    def _open(self) -> None:
        self._storage.initialize_schema()
        # This order acquires the lock at once. The system releases it, however the process ends.
        self._set("locking_mode", "exclusive")
        self._set("journal_mode", "wal")
        self._set("synchronous", "full" if self._fsync else "normal")

    def _set(self, pragma: str, value: str) -> None:
        self._storage.conn.execute(f"pragma {pragma}={value}")

    def _reason(self, error: sqlite3.Error) -> str:
        if "locked" in str(error):
            return "another queue has it open; run one server process (no `--workers 2`)"
        if not self._path.parent.is_dir():
            return "there is no such folder"
        return str(error)

    def load(self) -> Iterator[StoredJob]:
        return map(StoredJob.model_validate_json, self._storage.result_items().values())

    def save(self, job: StoredJob) -> None:
        self._storage.put_data(job.job_id, job.model_dump_json().encode())

    def save_many(self, jobs: Sequence[StoredJob]) -> None:
        rows = [("stoat-jobs", job.job_id, job.model_dump_json().encode()) for job in jobs]
        with self._storage.db(commit=True) as cursor:  # one transaction
            cursor.executemany(
                "insert or replace into kv (queue, key, value) values (?, ?, ?)", rows
            )

    def forget(self, job_id: str) -> None:
        self._storage.pop_data(job_id)

    def close(self) -> None:
        self._storage.close()
