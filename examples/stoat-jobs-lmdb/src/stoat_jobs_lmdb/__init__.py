"""A backend for stoat-jobs: jobs that outlive the process, in an LMDB file."""

from ._queue import LmdbJobQueue, LmdbOptions
from ._store import LmdbStore

__all__ = ["LmdbJobQueue", "LmdbOptions", "LmdbStore"]
