"""The tables: PgQueuer's, and the records that are ours; created, upgraded and described.

- All names are given, because the environment decides those that PgQueuer is not given.
- Who creates or upgrades holds a lock until its transaction ends, on one connection; if the
  schema is current nothing is changed, and a role without DDL suffices.
- Code of version N works on a schema of version N and N + 1.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
from importlib_metadata import version
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.queries import Queries

from .._model.errors import BackendError
from .connections import Connection
from .reasons import reason_of
from .tables import engine_storage, job_table

_BACKEND = "postgres"

VERSION = 1
"""Of our tables."""

_STEPS: dict[int, Callable[[str], str]] = {}
"""By the old version: the statements that lead to the next one, in a schema."""

_TABLES = ["job", "meta", "pgqueuer", "pgqueuer_log"]
_LOCK_TIMEOUT = "5s"
_BEGIN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL client_min_messages = warning
"""
_LOOK = """
SELECT quote_ident(current_user) AS "user", n.oid IS NOT NULL AS is_there,
    coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
    ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relkind = 'r'
        AND relname = ANY($2::text[])) AS tables,
    (SELECT bool_and(
        CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'USAGE')
        WHEN relname = 'meta' THEN has_table_privilege(oid, 'SELECT')
        ELSE has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE') END)
        FROM pg_class WHERE relnamespace = n.oid
        AND (relkind = 'r' AND relname = ANY($2::text[]) OR relname = 'pgqueuer_id_seq')
    ) AS may_write,
    coalesce((SELECT has_table_privilege(oid, 'SELECT') FROM pg_class
        WHERE relnamespace = n.oid AND relname = 'meta' AND relkind = 'r'), false)
        AND has_schema_privilege(n.oid, 'USAGE') AS may_read
FROM (SELECT) AS one LEFT JOIN pg_namespace AS n ON nspname = $1
"""


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


@dataclass(frozen=True)
class _Found:
    """What there is in a schema."""

    user: str
    is_there: bool
    may_use: bool
    may_write: bool
    tables: frozenset[str]
    version: int
    engine: str

    @property
    def is_complete(self) -> bool:
        return self.tables.issuperset(_TABLES)

    @property
    def is_current(self) -> bool:
        return self.version >= VERSION and not self.is_of_older_engine

    @property
    def is_of_older_engine(self) -> bool:
        return _numbers(self.engine) < _numbers(engine_version())


async def versions(connection: Connection, schema: str) -> tuple[int, str]:
    """The version of the tables in *schema*, and of PgQueuer that made its own; 0 for none."""
    found = await _look(connection, schema)
    return (found.version, found.engine) if found.is_complete else (0, "")


async def _look(connection: Connection, schema: str) -> _Found:
    """In a transaction, because of poolers."""
    async with connection.transaction():
        return await _found(connection, schema)


async def _found(connection: Connection, schema: str) -> _Found:
    row = await connection.fetchrow(_LOOK, schema, _TABLES)
    number, engine = 0, "0"
    if row["may_read"]:
        meta = await connection.fetchrow(f"SELECT version, engine FROM {schema}.meta")
        number, engine = meta or (0, "0")
    may_write = bool(row["may_use"] and row["may_write"])
    tables = frozenset(row["tables"])
    return _Found(row["user"], row["is_there"], row["may_use"], may_write, tables, number, engine)


def engine_version() -> str:
    """The version of PgQueuer that is installed here."""
    return version("pgqueuer")


def _numbers(text: str) -> list[int]:
    """A version, to compare it.

    >>> _numbers("1.10.0rc1") > _numbers("1.9")
    True
    """
    return [int(each) for each in re.findall(r"\d+", text)[:3]]


async def install(connection: Connection, schema: str) -> None:
    """Create the tables where there are none, and upgrade old ones.

    *connection* is in no transaction. Nothing is changed, and no lock is taken, if the tables are
    current.

    Raises:
        BackendError: that failed, or these tables cannot be used; in one line.
    """
    found = await _look(connection, schema)
    if not (found.is_complete and (found.is_current or not found.may_write)):
        await _change(connection, schema, found.user)
    await check(connection, schema)


async def _change(connection: Connection, schema: str, user: str) -> None:
    try:
        while await _changed(connection, schema):
            pass
    except asyncpg.InsufficientPrivilegeError:
        reason = _no_right(schema, user)
    except asyncpg.LockNotAvailableError:
        reason = (
            f"waited {_LOCK_TIMEOUT} for a lock to change the tables in schema {schema}; another"
            " process changes them, or a long transaction uses them: try again"
        )
    except asyncpg.PostgresError as error:
        reason = f"cannot make the tables in schema {schema}: {reason_of(error)}"
    else:
        return
    raise BackendError(_BACKEND, reason)


async def _changed(connection: Connection, schema: str) -> bool:
    """Whether there is something left to do, in another transaction."""
    async with _locked(connection, schema):
        found = await _found(connection, schema)  # another process may have been faster
        if not found.tables:
            await _create(connection, schema, found)
        elif reason := _broken(schema, found):
            raise BackendError(_BACKEND, reason)
        elif not found.is_current:
            return await _upgrade(connection, schema, found)
    return False


@asynccontextmanager
async def _locked(connection: Connection, schema: str) -> AsyncIterator[None]:
    """A transaction with the lock of this schema, which ends with it."""
    await connection.execute(_BEGIN)
    try:
        lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
        await connection.execute(lock, f"stoat-jobs {schema}")
        yield
        await connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            await connection.execute("ROLLBACK")
        raise


async def _create(connection: Connection, schema: str, found: _Found) -> None:
    builder = QueryBuilderEnvironment(engine_settings(schema))
    if not found.is_there:  # IF NOT EXISTS would need the right to create it
        await connection.execute(f"CREATE SCHEMA {schema}")
    await connection.execute(builder.build_install_query(create_schema=False))
    await connection.execute(builder.build_optimize_autovacuum_query())
    await connection.execute(engine_storage(schema))
    await connection.execute(job_table(schema))
    meta = f"INSERT INTO {schema}.meta (version, engine) VALUES ($1, $2)"
    await connection.execute(meta, VERSION, engine_version())


async def _upgrade(connection: Connection, schema: str, found: _Found) -> bool:
    """Upgrade the tables; or only begin to, and return True."""
    is_older = found.is_of_older_engine
    if is_older and await _upgrade_engine(connection, schema):
        return True
    for number in range(found.version, VERSION):
        await connection.execute(_STEPS[number](schema))
    meta = f"UPDATE {schema}.meta SET version = greatest(version, $1), engine = $2"
    await connection.execute(meta, VERSION, engine_version() if is_older else found.engine)
    return False


async def _upgrade_engine(connection: Connection, schema: str) -> bool:
    """Upgrade PgQueuer's tables; or only begin to, and return True."""
    statements = await _engine_steps(connection, schema)
    # A transaction that adds a label to a type may not use it.
    labels = [each for each in statements if "ADD VALUE" in each]
    for statement in labels or statements:
        await connection.execute(statement)
    return bool(labels)


async def _engine_steps(connection: Connection, schema: str) -> Sequence[str]:
    """The statements that PgQueuer's tables need to be current; most of its versions need none."""
    builder = QueryBuilderEnvironment(engine_settings(schema))
    plan = await Queries(AsyncpgDriver(connection), qbe=builder).plan_upgrade()
    return plan.statements


async def check(connection: Connection, schema: str) -> None:
    """Refuse tables that this code cannot use.

    Raises:
        BackendError: there are none, or they are too old or too new; says what to run.
    """
    found = await _look(connection, schema)
    reason = _unusable(found, schema)
    is_old = reason is None and not found.is_current
    if is_old and (found.version < VERSION or await _engine_steps(connection, schema)):
        reason = f"has old tables in schema {schema}: run `stoat-jobs postgres upgrade URL`"
    if reason is not None:
        raise BackendError(_BACKEND, reason)


def _unusable(found: _Found, schema: str) -> str | None:
    """Why these tables cannot be used even if they are upgraded here."""
    if not found.tables:
        return no_tables(schema)
    if reason := _broken(schema, found):
        return reason
    if not found.may_write:
        return _no_right(schema, found.user)
    if found.version > VERSION + 1:
        return f"has tables of a later version in schema {schema}: upgrade stoat-jobs"
    return None


def no_tables(schema: str) -> str:
    """That there are none."""
    return f"has no tables in schema {schema}: run `stoat-jobs postgres init URL`"


def _broken(schema: str, found: _Found) -> str | None:
    """What is missing in tables of which nobody can tell whether they are ours."""
    if not found.is_complete:
        names = ", ".join(sorted(found.tables))
        what = f"found only some of its tables in schema {schema} ({names}): restore the others"
    elif found.may_write and not found.version:
        what = f"found no version in table {schema}.meta: restore its row"
    else:
        return None
    return f"{what}, or choose another schema in the option `schema`"


def _no_right(schema: str, user: str) -> str:
    return (
        f"lacks rights: user {user} may not use or change the tables in schema {schema}; let a user"
        " who may run `stoat-jobs postgres init URL` (or `upgrade`), and then"
        f" GRANT USAGE ON SCHEMA {schema} TO {user};"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user};"
        f" GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}"
    )
