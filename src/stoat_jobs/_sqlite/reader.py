"""Reads the jobs in a file beside the process that has it open, as for a command line.

It can do no harm: its connection cannot write or make a checkpoint. Each call is a short
transaction, so it keeps no old snapshot from being checkpointed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._backends.job import place_of_stamp
from .._jobs.protocols import JobTypes, MetadataFilter, Statuses
from .._model.errors import BackendError, JobNotFoundError
from .._model.filters import JobFilter
from .._model.options import checked_limit
from .._model.pages import JobPage, cursor_at, place_of
from .._model.records import JobResult
from .connections import connect
from .file_systems import check_file_system
from .reasons import errors_of
from .rows import Row, whole_record_of
from .schema import STEPS, check_sqlite, version_of
from .store import SELECT

_ROWS_A_QUERY = 100


class SqliteReader:
    """The jobs in the file *path*, as a :class:`JobReader`."""

    def __init__(self, backend: str, path: Path, *, unsafe_filesystem: bool = False) -> None:
        self._backend = backend
        self._path = path
        self._unsafe_filesystem = unsafe_filesystem

    def __enter__(self) -> Self:
        with self._errors():
            check_sqlite()
            if not self._unsafe_filesystem:
                check_file_system(self._path)
            self._connection = connect(self._path, "ro")
            try:
                self._check_version()
            except BaseException:
                self._connection.close()
                raise
        return self

    def _check_version(self) -> None:
        version = version_of(self._connection, self._path)
        if version == 0:
            raise OSError(f"{self._path}: is empty; no queue has been started with it yet")
        if version < len(STEPS):
            raise OSError(
                f"{self._path}: was written by an older version of stoat-jobs; start its"
                " application once with this one, which brings the file up to date"
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        limit = checked_limit(limit)
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        place = None if before is None else place_of(before)
        with self._errors(), self._transaction():
            numbers = self._numbers(wanted, place, -1 if wanted.metadata else limit + 1)
            records = ((row[4], whole_record_of(row)) for row in self._rows(numbers))
            matching = (pair for pair in records if wanted.matches(pair[1]))
            found = list(islice(matching, limit + 1))
        more = len(found) > limit > 0
        cursor = cursor_at(place_of_stamp(found[limit - 1][0])) if more else None
        return JobPage((record for _, record in found[:limit]), cursor)

    def get_result(self, job_id: str) -> JobResult[Any]:
        if isinstance(job_id, str):
            with self._errors():
                for row in self._fetch(f"{SELECT} where job_id = ?", [str.__str__(job_id)]):
                    return whole_record_of(row)
        raise JobNotFoundError(job_id)

    def _numbers(self, wanted: JobFilter, place: int | None, limit: int) -> list[int]:
        """The numbers of the newest *limit* rows that may be *wanted*; of all if it is -1."""
        query, values = "select number from job where 1", list[Any]()
        for column, known in ("status", wanted.statuses), ("job_type", wanted.job_types):
            if known is not None:
                query += f" and {column} in ({_variables(known)})"
                values += map(str, known)
        if place is not None:
            query += " and submitted < ?"
            values.append(_stamp_at(place))
        query += " order by submitted desc limit ?"
        return [number for (number,) in self._fetch(query, [*values, limit])]

    def _rows(self, numbers: Sequence[int]) -> Iterator[Row]:
        for at in range(0, len(numbers), _ROWS_A_QUERY):
            some = numbers[at : at + _ROWS_A_QUERY]
            query = f"{SELECT} where job.number in ({_variables(some)}) order by submitted desc"
            yield from self._fetch(query, some)

    def _fetch(self, query: str, values: Sequence[Any]) -> list[Row]:
        try:
            return self._connection.execute(query, values).fetchall()
        except UnicodeEncodeError:
            return []  # no row has such text

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One snapshot for what is read meanwhile."""
        self._connection.execute("begin")
        try:
            yield
        finally:
            self._connection.execute("rollback")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with errors_of(self._path):
                yield
        except OSError as error:
            raise BackendError(self._backend, f"cannot read {error}") from error


def _variables(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)


def _stamp_at(place: int) -> float:
    """What :func:`place_of_stamp` made *place* of."""
    stamp: float = struct.unpack(">d", struct.pack(">Q", place))[0]
    return stamp
