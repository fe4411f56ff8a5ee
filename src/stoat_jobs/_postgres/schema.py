"""The tables: PgQueuer's, and the records that are ours; created, upgraded and described.

- All names are given, because the environment decides those that PgQueuer is not given.
- Who creates or upgrades holds a lock until its transaction ends, on one connection; if the
  schema is current nothing is changed, and a role without DDL suffices.
- Code of version N works on a schema of version N and N + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

from .connections import Connection

VERSION = 1
"""Of our tables."""


def engine_settings(schema: str) -> DBSettings:
    """The names of PgQueuer's tables in *schema*."""
    return DBSettings(
        prefix="",
        db_schema=schema,
        channel=Channel(engine_channel(schema)),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.durable,
        widen_id=True,
    )


def engine_channel(schema: str) -> str:
    """On which the engine tells workers of new jobs."""
    return f"{schema}.engine"


def jobs_channel(schema: str) -> str:
    """On which queues tell each other what changed."""
    return f"{schema}.jobs"


async def install(connection: Connection, schema: str) -> None:
    """Create the tables where there are none, and upgrade old ones."""
    raise NotImplementedError


async def check(connection: Connection, schema: str) -> None:
    """Refuse tables that this code cannot use.

    Raises:
        BackendError: there are none, or they are too old or too new; says what to run.
    """
    raise NotImplementedError


@dataclass(frozen=True)
class SchemaStatus:
    """What ``stoat-jobs postgres status`` shows."""


async def status(connection: Connection, schema: str) -> SchemaStatus:
    """The versions, the counts, and what is wrong: a blocker of vacuum, unknown job types."""
    raise NotImplementedError
