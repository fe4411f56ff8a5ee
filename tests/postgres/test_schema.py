"""The tables are created and upgraded once, by whoever comes first and may."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from stoat_jobs import BackendError
from stoat_jobs._postgres import schema as module
from stoat_jobs._postgres.schema import (
    check,
    engine_channel,
    engine_settings,
    engine_version,
    install,
    jobs_channel,
    versions,
)

from ..support import SAFETY_NET
from ..support.postgres.cluster import PASSWORD, Cluster, name_in

SCHEMA = "river"
LOWLY = '"Low-ly"'
OBJECTS = """
SELECT kind || ' ' || name FROM (
    SELECT 'relation' AS kind, relname::text AS name, relnamespace AS namespace FROM pg_class
    UNION ALL SELECT 'type', typname, typnamespace FROM pg_type WHERE typtype = 'e'
    UNION ALL SELECT 'function', proname, pronamespace FROM pg_proc
    UNION ALL SELECT 'trigger', tgname, relnamespace
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal
) AS found JOIN pg_namespace ON pg_namespace.oid = namespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1
"""


@pytest.fixture
async def connection(url: str) -> AsyncIterator[Any]:
    """As the owner of the database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def lowly(cluster: Cluster, url: str) -> AsyncIterator[Any]:
    """As a role that may do nothing yet, but has been let in; its name needs quotes."""
    cluster.sql(f"DROP ROLE IF EXISTS {LOWLY}")
    cluster.sql(f"CREATE ROLE {LOWLY} LOGIN PASSWORD '{PASSWORD}'")
    connection = await asyncpg.connect(url.replace("//stoat:", "//Low-ly:"))
    yield connection
    await connection.close()
    cluster.sql(f"DROP OWNED BY {LOWLY}; DROP ROLE {LOWLY}", name_in(url))


async def objects(connection: Any) -> list[str]:
    return [row[0] for row in await connection.fetch(OBJECTS)]


async def refusal(doing: Any) -> str:
    with pytest.raises(BackendError) as caught:
        await doing
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return str(caught.value)


async def test_all_is_created_in_its_schema(connection: Any) -> None:
    """Ours and the engine's, and nothing anywhere else; twice is once."""
    await install(connection, SCHEMA)
    await check(connection, SCHEMA)
    before = await objects(connection)
    assert {"relation job", "relation meta", "relation pgqueuer", "type pgqueuer_status"} <= set(
        before
    )
    strangers = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert await connection.fetchval(strangers) == 0
    await install(connection, SCHEMA)
    assert await objects(connection) == before
    assert await versions(connection, SCHEMA) == (module.VERSION, engine_version())
    body = await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname ~ '^fn_pgqueuer'")
    assert engine_channel(SCHEMA) in body


def test_by_five_processes_at_once(url: str) -> None:
    """Each succeeds, on an empty database and again on what is there."""
    command = [sys.executable, "-m", "stoat_jobs", "postgres", "init", url]
    for _ in range(2):
        started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(5)]
        for each in started:
            out, _ = each.communicate(timeout=SAFETY_NET)
            assert (each.returncode, out) == (0, b"The tables in schema stoat_jobs are current.\n")


async def test_by_many_connections_at_once(url: str) -> None:
    """Whatever the order in which they look and change."""
    many = await asyncio.gather(*(asyncpg.connect(url) for _ in range(12)))
    await asyncio.gather(*(install(each, SCHEMA) for each in many))
    await asyncio.gather(*(each.close() for each in many))


async def test_the_environment_renames_nothing(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGQUEUER_* variables are meant for another PgQueuer of the same process or shell."""
    await install(connection, SCHEMA)
    before, settings = await objects(connection), engine_settings(SCHEMA)
    await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    names = [name.upper() for name in type(settings).model_fields]
    for name in names:
        value = {"DURABILITY": "volatile", "WIDEN_ID": "false"}.get(name, "evil")
        monkeypatch.setenv(f"PGQUEUER_{name}", value)
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGQUEUER_SCHEMA", "evil")
    assert engine_settings(SCHEMA) == settings
    await install(connection, SCHEMA)
    assert await objects(connection) == before
    unlogged = "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'"
    assert await connection.fetchval(unlogged) == 0
    await check(connection, SCHEMA)


def test_channels_carry_the_schema() -> None:
    """At most 63 bytes long, as the server demands, also for the longest schema."""
    assert len({engine_channel("a"), jobs_channel("a"), engine_channel("b")}) == 3
    assert max(len(engine_channel("s" * 40)), len(jobs_channel("s" * 40))) <= 63


async def test_without_the_right_to_create_tables(lowly: Any) -> None:
    """The line says who has to run what, and which rights to grant then."""
    line = await refusal(install(lowly, SCHEMA))
    assert f"user {LOWLY} may not use or change the tables in schema river" in line
    assert "run `stoat-jobs postgres init URL`" in line
    assert f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO {LOWLY}" in line


async def test_the_rights_that_the_error_names_suffice(connection: Any, lowly: Any) -> None:
    """A role with them starts on current tables, and changes none; with fewer it is told."""
    await install(connection, SCHEMA)
    line = await refusal(install(lowly, SCHEMA))
    assert line == await refusal(check(lowly, SCHEMA))
    grants = line[line.index("GRANT") :].split(";")
    assert len(grants) == 3
    for grant in grants:
        await refusal(check(lowly, SCHEMA))
        await connection.execute(grant)
    await install(lowly, SCHEMA)
    await check(lowly, SCHEMA)
    await lowly.execute(f"DELETE FROM {SCHEMA}.job; DELETE FROM {SCHEMA}.pgqueuer_log")
    assert await lowly.fetchval(f"SELECT nextval('{SCHEMA}.pgqueuer_id_seq')") == 1


async def test_a_schema_that_an_administrator_made_is_used(
    cluster: Cluster, url: str, lowly: Any
) -> None:
    """The right to create tables in it suffices; none on the database is needed."""
    cluster.sql(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {LOWLY}", name_in(url))
    await install(lowly, SCHEMA)
    await check(lowly, SCHEMA)


async def test_on_current_tables_nothing_is_locked(url: str, connection: Any) -> None:
    """Not even while another process is changing them."""
    await install(connection, SCHEMA)
    other = await asyncpg.connect(url)
    async with module._locked(other, SCHEMA):
        await other.execute(f"LOCK TABLE {SCHEMA}.job, {SCHEMA}.pgqueuer IN EXCLUSIVE MODE")
        await asyncio.wait_for(install(connection, SCHEMA), SAFETY_NET)
    await other.close()


async def test_without_tables_check_says_what_to_run(connection: Any) -> None:
    """As with the option ``create_tables=False``."""
    line = await refusal(check(connection, SCHEMA))
    assert "has no tables in schema river: run `stoat-jobs postgres init URL`" in line


async def test_tables_of_others_are_left_alone(connection: Any) -> None:
    """A schema with a table named job, or a PgQueuer of its own, is refused."""
    await connection.execute(f"CREATE SCHEMA {SCHEMA} CREATE TABLE job (salary int)")
    before = await objects(connection)
    for doing in (install, check):
        line = await refusal(doing(connection, SCHEMA))
        assert "found only some of its tables in schema river (job)" in line
    assert await objects(connection) == before


async def test_tables_without_their_version_are_left_alone(connection: Any) -> None:
    """As after a restore that left out the one row of ``meta``."""
    await install(connection, SCHEMA)
    await connection.execute(f"DELETE FROM {SCHEMA}.meta")
    for doing in (install, check):
        line = await refusal(doing(connection, SCHEMA))
        assert "found no version in table river.meta: restore its row, or choose another" in line


async def test_later_tables_are_used_for_one_version(connection: Any) -> None:
    """During a rollout code of version N works on N + 1, and leaves it; not on N + 2."""
    await install(connection, SCHEMA)
    await connection.execute(f"UPDATE {SCHEMA}.meta SET version = {module.VERSION + 1}")
    await install(connection, SCHEMA)
    assert await versions(connection, SCHEMA) == (module.VERSION + 1, engine_version())
    await connection.execute(f"UPDATE {SCHEMA}.meta SET version = {module.VERSION + 2}")
    line = await refusal(install(connection, SCHEMA))
    assert "has tables of a later version in schema river: upgrade stoat-jobs" in line


@pytest.fixture
async def old(connection: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection to tables that are a version too old for this code."""
    await install(connection, SCHEMA)
    number = module.VERSION
    step = "ALTER TABLE {schema}.job ADD COLUMN colour text"
    monkeypatch.setitem(module._STEPS, number, lambda schema: step.format(schema=schema))
    monkeypatch.setattr(module, "VERSION", number + 1)
    return connection


async def test_old_tables_are_upgraded(old: Any) -> None:
    """By the statements of each version; without the right to, the line says what to run."""
    line = await refusal(check(old, SCHEMA))
    assert "has old tables in schema river: run `stoat-jobs postgres upgrade URL`" in line
    await install(old, SCHEMA)
    await check(old, SCHEMA)
    await old.fetch(f"SELECT colour FROM {SCHEMA}.job")
    assert (await versions(old, SCHEMA))[0] == module.VERSION


async def test_a_role_with_dml_alone_is_told_to_have_them_upgraded(old: Any, lowly: Any) -> None:
    """It may not change them itself."""
    line = await refusal(check(lowly, SCHEMA))
    for grant in line[line.index("GRANT") :].split(";"):
        await old.execute(grant)
    assert "(or `upgrade`)" in await refusal(install(lowly, SCHEMA))


async def test_an_upgrade_waits_for_locks_only_for_a_while(
    old: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction that uses a table must not stop everybody behind the upgrade."""
    monkeypatch.setattr(module, "_BEGIN", module._BEGIN.replace("'5s'", "'50ms'"))
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute(f"SELECT FROM {SCHEMA}.job")
        assert "for a lock to change the tables" in await refusal(install(old, SCHEMA))
    await install(old, SCHEMA)
    await other.close()


async def test_a_failed_upgrade_changes_nothing(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction."""
    step = "ALTER TABLE {0}.job ADD COLUMN colour text; SELECT 1 / 0"
    monkeypatch.setitem(module._STEPS, module.VERSION - 1, step.format)
    assert "cannot make the tables in schema river: " in await refusal(install(old, SCHEMA))
    assert (await versions(old, SCHEMA))[0] == module.VERSION - 1
    with pytest.raises(asyncpg.UndefinedColumnError):
        await old.fetch(f"SELECT colour FROM {SCHEMA}.job")


async def test_the_engines_tables_are_upgraded(connection: Any) -> None:
    """Those of an older PgQueuer, also where a type gets a label that an index then uses."""
    await install(connection, SCHEMA)
    await connection.execute(f"ALTER TYPE {SCHEMA}.pgqueuer_status RENAME VALUE 'picked' TO 'old'")
    before = await objects(connection)
    for name in [each.split()[1] for each in before if each.endswith("_idx")]:
        if "pgqueuer" in name:
            await connection.execute(f"DROP INDEX {SCHEMA}.{name}")
    await connection.execute(f"UPDATE {SCHEMA}.meta SET engine = '1.0.0'")
    assert "has old tables" in await refusal(check(connection, SCHEMA))
    await install(connection, SCHEMA)
    assert await objects(connection) == before
    assert await versions(connection, SCHEMA) == (module.VERSION, engine_version())
    await connection.fetch(f"SELECT 'picked'::{SCHEMA}.pgqueuer_status")
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert await connection.fetchval(locks) == 0


async def test_a_release_of_the_engine_that_changes_no_tables_refuses_nobody(
    connection: Any, lowly: Any
) -> None:
    """It is not the number that counts, but whether there is something to upgrade."""
    await install(connection, SCHEMA)
    for grant in (await refusal(check(lowly, SCHEMA))).partition("then ")[2].split(";"):
        await connection.execute(grant)
    await connection.execute(f"UPDATE {SCHEMA}.meta SET engine = '1.0.0'")
    await check(connection, SCHEMA)
    await check(lowly, SCHEMA)
    assert await versions(connection, SCHEMA) == (module.VERSION, "1.0.0")
    await install(lowly, SCHEMA)
    assert await versions(connection, SCHEMA) == (module.VERSION, engine_version())


async def test_the_tables_of_a_later_engine_are_left(old: Any) -> None:
    """A process with an older PgQueuer never takes an upgrade back, even if it upgrades ours."""
    await old.execute(f"UPDATE {SCHEMA}.meta SET engine = '1.99.0'")
    (index,) = [each for each in await objects(old) if "pgqueuer_log_not_aggregated" in each]
    await old.execute(f"DROP INDEX {SCHEMA}.{index.split()[1]}")
    for _ in range(2):
        await install(old, SCHEMA)
        assert await versions(old, SCHEMA) == (module.VERSION, "1.99.0")
        assert index not in await objects(old)


async def test_dead_rows_are_removed_often(connection: Any) -> None:
    """Every table that jobs pass through has settings of its own for autovacuum."""
    await install(connection, SCHEMA)
    options = "SELECT relname, reloptions::text FROM pg_class WHERE relnamespace = $1::regnamespace"
    found = dict(await connection.fetch(options, SCHEMA))
    for table in ("job", "pgqueuer", "pgqueuer_log"):
        assert "autovacuum_vacuum_scale_factor=0.0" in found[table]
        assert "autovacuum_vacuum_threshold=1000," in found[table]


@pytest.mark.parametrize("length", [512, 1024])
async def test_the_longest_names_and_keys_fit_into_the_indexes(
    connection: Any, length: int
) -> None:
    """An entry of an index has at most some 2,700 bytes: enough for a type and its key."""
    await install(connection, SCHEMA)
    insert = f"""INSERT INTO {SCHEMA}.job (id, seq, type, metadata, key, held_key, is_kept,
        timeout, keep_payload) VALUES (gen_random_uuid(), 1, $1, '{{}}', $2, $2, true, 1, true)"""

    await connection.execute(insert, secrets.token_hex(256), secrets.token_hex(length // 2))
    row = f"INSERT INTO {SCHEMA}.pgqueuer (priority, entrypoint, status) VALUES (0, $1, 'queued')"
    await connection.execute(row, secrets.token_hex(256))


CHANGED_BY_A_START = {"status", "delivery", "losses", "started_at", "progress", "message"}


async def test_a_start_changes_no_indexed_column(connection: Any) -> None:
    """So PostgreSQL need not write to any index for it."""
    await install(connection, SCHEMA)
    rows = await connection.fetch(f"""
SELECT DISTINCT attname FROM pg_depend JOIN pg_index ON objid = indexrelid
JOIN pg_attribute ON attrelid = indrelid AND attnum = refobjsubid
WHERE indrelid = '{SCHEMA}.job'::regclass AND refobjid = indrelid""")
    indexed = {row["attname"] for row in rows}
    assert {"type", "phase", "finished_at", "held_key", "metadata"} <= indexed
    assert not indexed & CHANGED_BY_A_START
