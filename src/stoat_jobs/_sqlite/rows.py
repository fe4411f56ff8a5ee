"""A job as a row of the table, and back."""

from __future__ import annotations

from typing import Any

from .._backends.store import FinishedJob, StoredJob

COLUMNS: tuple[str, ...] = ()
"""In the order of :func:`row_of`."""


def row_of(job: StoredJob) -> tuple[Any, ...]:
    """The values of *job* for :data:`COLUMNS`."""
    raise NotImplementedError


def job_of(row: tuple[Any, ...]) -> StoredJob:
    """The job that a row of :data:`COLUMNS` says; its record is not validated again."""
    raise NotImplementedError


def finished_of(row: tuple[Any, ...]) -> FinishedJob:
    """What a queue has to know of a finished job."""
    raise NotImplementedError
