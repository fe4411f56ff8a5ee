"""The `sqlite` backend: jobs that survive a restart, in one file and with nothing to install.

Choose it by name, ``JobQueueSettings(backend="sqlite", url="jobs.db")``. Import this module only
to name its types.
"""

from __future__ import annotations

from ._exports import export as _export
from ._sqlite.queue import SqliteJobQueue, SqliteOptions

__all__ = ["SqliteJobQueue", "SqliteOptions"]

_export(__name__, *map(globals().__getitem__, __all__))
