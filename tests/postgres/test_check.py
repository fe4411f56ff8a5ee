"""`stoat-jobs check postgres`: each test with tables of its own, in one database."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from stoat_jobs import JobQueueSettings
from stoat_jobs._cli.check.suite import suite_of
from stoat_jobs.postgres import PostgresJobQueue

OPTIONS = {"schema": "{name}"}


async def schemas(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'check%'"
        return [row["nspname"] for row in await connection.fetch(query)]
    finally:
        await connection.close()


def test_each_test_has_a_schema_of_its_own(url: str) -> None:
    """`{name}` is new for each test, and the same for all queues of one test."""
    settings = JobQueueSettings(url=url, options={"schema": "check"})
    capabilities = PostgresJobQueue(None, settings).capabilities.model_dump()
    suite: Any = suite_of("postgres", url, OPTIONS, capabilities)
    suite().test_the_next_queue_has_all_of_a_job()
    suite().test_a_key_holds_in_every_queue()
    assert len(asyncio.run(schemas(url))) == 2


def check(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stoat_jobs", "check", "postgres", "--url", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_check_without_tables_for_each_test_says_what_to_add(url: str) -> None:
    """The one line says that `{name}` may be in an option; exit code 2."""
    done = check(url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "use {tmp} or {name} in --url or in an --option" in done.stderr
    assert asyncio.run(schemas(url)) == []


@pytest.mark.slow
def test_every_promise_is_kept_or_excused(url: str) -> None:
    """The whole command: no promise is broken, and most are kept; exit code 0."""
    done = check(url, "--option", "schema={name}")
    assert done.returncode == 0, done.stdout
    total = re.search(r"(\d+) kept, 0 broken, (\d+) excused\Z", done.stdout.rstrip())
    assert total is not None
    assert int(total[1]) > 10 * int(total[2])
