"""The `postgres` backend: many processes and machines, on a PostgreSQL server.

Choose it by name, ``JobQueueSettings(backend="postgres", url="postgresql://...")``, after
``pip install "stoat-jobs[postgres]"``. Import this module only to name its types.
"""

from __future__ import annotations

from ._exports import export as _export
from ._postgres.by_hand import create_tables, tables_status, upgrade_tables
from ._postgres.options import PostgresOptions
from ._postgres.queue import PostgresJobQueue
from ._postgres.status import Blocker, TableSize, TablesStatus, UnclaimedType

__all__ = [
    "Blocker",
    "PostgresJobQueue",
    "PostgresOptions",
    "TableSize",
    "TablesStatus",
    "UnclaimedType",
    "create_tables",
    "tables_status",
    "upgrade_tables",
]

_export(__name__, *map(globals().__getitem__, __all__))
