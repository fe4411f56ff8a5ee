"""The `postgres` backend: many processes and machines, on a PostgreSQL server.

Choose it by name, ``JobQueueSettings(backend="postgres", url="postgresql://...")``, after
``pip install "stoat-jobs[postgres]"``. Import this module only to name its types.
"""

from __future__ import annotations

from ._exports import export as _export
from ._postgres.options import PostgresOptions
from ._postgres.queue import PostgresJobQueue

__all__ = ["PostgresJobQueue", "PostgresOptions"]

_export(__name__, *map(globals().__getitem__, __all__))
