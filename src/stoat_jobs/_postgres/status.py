"""What is in the tables, and what is wrong with them: for whoever looks after the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .connections import Connection
from .schema import VERSION, engine_version, versions

_OLD = 60
"""Seconds after which a job that nobody runs, or a transaction, is worth a line."""


@dataclass(frozen=True)
class Blocker:
    """What keeps the server from removing dead rows."""

    kind: str
    """``transaction``, ``prepared transaction`` or ``replication slot``."""
    name: str
    """The application's name, or that of the slot or the prepared transaction."""
    pid: int | None
    """The server's process, for ``pg_terminate_backend``."""
    age_s: float | None
    """Seconds since it began, if this role may know."""

    def __str__(self) -> str:
        pid = "" if self.pid is None else f", pid {self.pid}"
        age = "" if self.age_s is None else f", for {self.age_s:.0f} s"
        return f"{self.kind} {self.name!r}{pid}{age}"


@dataclass(frozen=True)
class UnclaimedType:
    """Jobs of one type that are due for more than a minute, while none of it is run."""

    job_type: str
    jobs: int
    oldest_s: float


@dataclass(frozen=True)
class TableSize:
    """One table, with its indexes."""

    name: str
    bytes: int
    rows: int
    dead_rows: int


@dataclass(frozen=True)
class TablesStatus:
    """What is in the tables of one schema, and what is wrong."""

    schema: str
    server: str
    version: int
    wanted_version: int
    engine: str
    wanted_engine: str
    counts: Mapping[str, Mapping[str, int]]
    """How many jobs, by status and type."""
    oldest_pending_s: float | None
    """Seconds since the oldest pending job was due."""
    unclaimed: tuple[UnclaimedType, ...]
    without_row: int
    """Live jobs that the engine does not have: nobody will run them. Workers look for them."""
    without_job: int
    """Rows of the engine without a live job, which do no harm."""
    blockers: tuple[Blocker, ...]
    tables: tuple[TableSize, ...]

    @property
    def problems(self) -> list[str]:
        """What somebody should look at, in one line each."""
        found = [
            f"{each.jobs:,} jobs of type {each.job_type!r} are due, the oldest for"
            f" {each.oldest_s:.0f} s, and none runs: is there a worker with its handler?"
            for each in self.unclaimed
        ]
        if self.version < self.wanted_version:
            found.insert(0, "the tables are old: run `stoat-jobs postgres upgrade URL`")
        if self.without_row:
            found.append(
                f"{self.without_row:,} live jobs are not in the engine's table: a worker that runs"
                " queues them again within a minute"
            )
        found += [f"dead rows cannot be removed because of: {each}" for each in self.blockers]
        return found


def _counts(schema: str) -> str:
    return f"SELECT status, type, count(*) FROM {schema}.job GROUP BY 1, 2 ORDER BY 1, 2"


def _unclaimed(schema: str) -> str:
    return f"""
SELECT type, count(*), extract(epoch FROM now() - min(due))::float8 AS age
FROM (SELECT type, coalesce(not_before, submitted_at) AS due FROM {schema}.job
    WHERE status = 'pending') AS job
WHERE due < now() - interval '{_OLD} s' AND NOT EXISTS (
    SELECT FROM {schema}.job AS other WHERE other.type = job.type
    AND (other.status = 'running' OR other.started_at > now() - interval '{_OLD} s'))
GROUP BY type ORDER BY type
"""


def _oldest(schema: str) -> str:
    return f"""
SELECT extract(epoch FROM now() - min(coalesce(not_before, submitted_at)))::float8
FROM {schema}.job WHERE status = 'pending' AND coalesce(not_before, submitted_at) <= now()
"""


def _without_row(schema: str) -> str:
    return f"""
SELECT count(*) FROM {schema}.job WHERE status IN ('pending', 'running')
AND NOT EXISTS (SELECT FROM {schema}.pgqueuer WHERE pgqueuer.id = job.seq)
"""


def _without_job(schema: str) -> str:
    return f"""
SELECT count(*) FROM {schema}.pgqueuer WHERE NOT EXISTS (
    SELECT FROM {schema}.job WHERE job.seq = pgqueuer.id AND status IN ('pending', 'running'))
"""


# A role without pg_read_all_stats sees no times of others' transactions, but how many began since.
_BLOCKERS = f"""
SELECT 'transaction' AS kind, coalesce(nullif(application_name, ''), usename, '') AS name, pid,
    extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age
FROM pg_stat_activity
WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
    AND (datname = current_database() OR backend_type = 'walsender')
    AND backend_type <> 'autovacuum worker'
    AND CASE WHEN xact_start IS NULL
        THEN greatest(age(backend_xmin), age(backend_xid)) > 100000
        ELSE xact_start < clock_timestamp() - interval '{_OLD} s' END
UNION ALL
SELECT 'replication slot', slot_name, active_pid, NULL FROM pg_replication_slots
WHERE xmin IS NOT NULL AND age(xmin) > 100000
UNION ALL
SELECT 'prepared transaction', gid, NULL, extract(epoch FROM clock_timestamp() - prepared)::float8
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - interval '{_OLD} s'
ORDER BY age DESC NULLS LAST
"""

_SIZES = """
SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup FROM pg_stat_user_tables
WHERE schemaname = $1 AND relname IN ('job', 'pgqueuer', 'pgqueuer_log') ORDER BY relname
"""


async def status(connection: Connection, schema: str) -> TablesStatus:
    """The versions, the counts, and what is wrong: a blocker of vacuum, unknown job types."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _status(connection, schema)


async def _status(connection: Connection, schema: str) -> TablesStatus:
    number, engine = await versions(connection, schema)
    counts: dict[str, dict[str, int]] = {}
    for name, job_type, count in await connection.fetch(_counts(schema)):
        counts.setdefault(name, {})[job_type] = count
    return TablesStatus(
        schema=schema,
        server=await connection.fetchval("SHOW server_version"),
        version=number,
        wanted_version=VERSION,
        engine=engine,
        wanted_engine=engine_version(),
        counts=counts,
        oldest_pending_s=await connection.fetchval(_oldest(schema)),
        unclaimed=await _rows(connection, UnclaimedType, _unclaimed(schema)),
        without_row=await connection.fetchval(_without_row(schema)),
        without_job=await connection.fetchval(_without_job(schema)),
        blockers=await _rows(connection, Blocker, _BLOCKERS),
        tables=await _rows(connection, TableSize, _SIZES, schema),
    )


async def _rows(connection: Connection, kind: Any, sql: str, *args: Any) -> tuple[Any, ...]:
    return tuple(kind(*row) for row in await connection.fetch(sql, *args))
