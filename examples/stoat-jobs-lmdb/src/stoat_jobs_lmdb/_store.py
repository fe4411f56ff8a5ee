"""The store: an LMDB file with two tables, one for live jobs and one for finished ones."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path
from threading import Lock

import lmdb

from stoat_jobs.backends import FinishedJob, StoredJob, StoreInUseError


class LmdbStore:
    """Keeps jobs in the file *path*, which no other queue can open at the same time."""

    def __init__(self, path: Path, *, sync: bool) -> None:
        self._path = path.resolve()  # two names of a file would have two locks
        self._sync = sync
        self._opened = ExitStack()
        self._map_lock = Lock()

    def open(self) -> None:
        try:
            with ExitStack() as opened:
                self._env = opened.enter_context(self._environment())
                # LMDB lets other processes in: a lock of ours refuses them. The system releases
                # it with this process. A second queue of this process does not come so far: LMDB
                # has refused it. This lock would not, and would be gone when its file is closed.
                lock_file = opened.enter_context(Path(f"{self._path}-queue").open("w"))
                fcntl.lockf(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._live = self._env.open_db(b"live")
                self._finished = self._env.open_db(b"finished")
                self._opened = opened.pop_all()  # not reached on an error, which closes all
        except BlockingIOError as error:
            raise self._in_use() from error
        except lmdb.Error as error:
            raise self._explained(error) from error

    def _environment(self) -> lmdb.Environment:
        return lmdb.open(str(self._path), subdir=False, mode=0o600, max_dbs=2, sync=self._sync)

    def _explained(self, error: lmdb.Error) -> OSError:
        if "already open in this process" in str(error):
            return self._in_use()
        if not self._path.parent.is_dir():
            return OSError(f"{self._path}: there is no such folder")
        return OSError(str(error))  # begins with the path

    def _in_use(self) -> StoreInUseError:
        return StoreInUseError(
            f"{self._path}: another queue has it open; run one server process (no `--workers 2`)"
        )

    def live(self) -> list[StoredJob]:
        return sorted(self._all(self._live), key=attrgetter("number"))

    def finished(self) -> list[FinishedJob]:
        entries = map(FinishedJob.of, self._all(self._finished))
        return sorted(entries, key=attrgetter("number"))

    def _all(self, table: lmdb._Database) -> Iterator[StoredJob]:
        with self._reading() as transaction:
            for _, value in transaction.cursor(table):
                yield StoredJob.model_validate_json(value)

    def read(self, job_ids: Sequence[str]) -> list[StoredJob]:
        with self._reading() as transaction:
            found = [
                transaction.get(job_id.encode(), db=table)
                for job_id in job_ids
                for table in (self._live, self._finished)
            ]
        return [StoredJob.model_validate_json(value) for value in found if value]

    @contextmanager
    def _reading(self) -> Iterator[lmdb.Transaction[bytes]]:
        with self._map_lock, self._env.begin() as transaction:
            yield transaction

    def write(
        self, new: Sequence[StoredJob], changed: Sequence[StoredJob], gone: Sequence[str]
    ) -> None:
        try:
            self._write([*new, *changed], gone)
        except lmdb.MapFullError:  # nothing was written
            self._double_the_map()
            self.write(new, changed, gone)

    def _write(self, kept: Sequence[StoredJob], gone: Sequence[str]) -> None:
        with self._env.begin(write=True) as transaction:
            for job_id in (*gone, *(job.job_id for job in kept)):
                for table in (self._live, self._finished):
                    transaction.delete(job_id.encode(), db=table)
            for job in kept:
                table = self._finished if job.finish_number else self._live
                transaction.put(job.job_id.encode(), job.model_dump_json().encode(), db=table)

    def _double_the_map(self) -> None:
        """The map is how large the file can become; it must not change while somebody reads."""
        with self._map_lock:
            self._env.set_mapsize(2 * self._env.info()["map_size"])

    def close(self) -> None:
        self._opened.close()
