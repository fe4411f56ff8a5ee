"""The servers of the tests are what they say, and nothing of them is left."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from ..support.postgres import lifeline
from ..support.postgres.cluster import Cluster, Mode, name_in
from ..support.postgres.pooler import Pooler
from ..support.postgres.standby import Standby, url_of_all
from ..support.programs import Command

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = Path("/proc/sysvipc/shm")
START = """
from tests.support.postgres.cluster import Cluster
cluster = Cluster(durable=False)
cluster.start()
print(cluster.folder, flush=True)
input()
"""


WITHOUT = """
import pytest
from tests.support.postgres import installing

installing.find = lambda program: None
raise SystemExit(pytest.main(["-p", "no:cacheprovider", "{test}"]))
"""


@pytest.mark.parametrize(("env", "code"), [({"CI": "true"}, 1), ({"CI": ""}, 0)], ids=["CI", "not"])
def test_where_no_server_is_installed(env: dict[str, str], code: int) -> None:
    """Tests that need one are skipped, and fail on a build server; both say what to install."""
    program = WITHOUT.format(test=f"{__file__}::test_databases_are_empty_and_ones_own")
    command = [sys.executable, "-c", program]
    with Command(command, cwd=ROOT, env={**os.environ, **env}) as run:
        status, out, _ = run.finish()
    assert status == code, out
    assert "no PostgreSQL server: install Debian's postgresql and pgbouncer" in out


def test_databases_are_empty_and_ones_own(cluster: Cluster, url: str) -> None:
    """Each test has a database without tables, which its role owns."""
    name = name_in(url)
    owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{name}'"
    assert cluster.sql(owner) == "stoat"
    assert cluster.sql("SELECT count(*) FROM pg_stat_user_tables", name) == "0"


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_a_server_that_is_stopped_starts_again(own_cluster: Cluster, mode: Mode) -> None:
    """It has the same port and the same data."""
    url = own_cluster.new_database("kept")
    own_cluster.stop(mode)
    assert not own_cluster.is_running
    own_cluster.start()
    assert own_cluster.sql("SELECT 1", "kept") == "1"
    assert url == own_cluster.url_of("kept")


def test_a_server_that_is_killed_starts_again(own_cluster: Cluster) -> None:
    """None of its processes is left, and what was committed is there."""
    own_cluster.new_database("kept")
    own_cluster.kill()
    assert lifeline.processes_in(own_cluster.folder) == []
    own_cluster.start()
    assert own_cluster.sql("SELECT 1", "kept") == "1"


async def test_a_frozen_server_answers_when_it_is_thawed(own_cluster: Cluster) -> None:
    """Meanwhile its connections are open, and nothing comes."""
    connection = await asyncpg.connect(own_cluster.url)
    own_cluster.freeze()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.05)
    own_cluster.thaw()
    await connection.close()
    assert own_cluster.sql("SELECT 1") == "1"


async def connect(url: str) -> asyncpg.Connection:
    """A connection as it has to be through a pooler."""
    return await asyncpg.connect(url, statement_cache_size=0)


async def test_a_pooler_gives_each_transaction_another_session(pooler: Pooler, url: str) -> None:
    """What a session keeps on a server is not there behind it."""
    first, second = [await connect(pooler.url(url)) for _ in range(2)]
    pid = await first.fetchval("SELECT pg_backend_pid()")
    async with second.transaction():
        assert await second.fetchval("SELECT pg_backend_pid()") == pid
        assert await first.fetchval("SELECT pg_backend_pid()") != pid
    await first.close()
    await second.close()


async def test_a_pooler_begins_again(pooler: Pooler, url: str) -> None:
    """It can be stopped under its clients."""
    pooler.stop()
    with pytest.raises(OSError):
        await asyncpg.connect(pooler.url(url))
    pooler.start()
    connection = await connect(pooler.url(url))
    await connection.close()


async def test_a_standby_takes_its_primary_s_place(own_cluster: Cluster, standby: Standby) -> None:
    """It has what was committed, and a url of both leads to whichever takes writes."""
    url = url_of_all(own_cluster, standby)
    own_cluster.sql("CREATE TABLE kept AS SELECT 7 AS number", "jobs")
    standby.catch_up()
    assert standby.sql("SELECT number FROM kept", "jobs") == "7"
    with pytest.raises(RuntimeError, match="read-only"):
        standby.sql("DELETE FROM kept", "jobs")
    own_cluster.kill()
    standby.promote()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT inet_server_port()") == standby.port
    await connection.close()


def test_nothing_is_left_of_a_server_that_is_killed() -> None:
    """The shared memory that it did not give back is removed, and so is its folder."""
    with Cluster(durable=False) as cluster:
        cluster.start()
        *_, memory, _ = (cluster.data / "postmaster.pid").read_text().split()
        cluster.kill()
        assert f" {memory} " in SHARED_MEMORY.read_text()
    assert f" {memory} " not in SHARED_MEMORY.read_text()
    assert not cluster.folder.exists()


def test_nothing_is_left_of_a_test_that_is_killed() -> None:
    """Its server ends, though nobody closed it, and the server's folder goes."""
    with Command([sys.executable, "-c", START], stdin=-1, cwd=ROOT) as starting:
        folder = Path(starting.read_until("/"))
        assert lifeline.processes_in(folder) != []
        starting.interrupt(signal.SIGKILL)
        starting.process.wait()
        assert lifeline.poll(lambda: not folder.exists(), 60)
        assert lifeline.processes_in(folder) == []
