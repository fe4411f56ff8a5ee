"""The servers of the tests are what they say, and nothing of them is left."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from ..support.postgres import lifeline
from ..support.postgres.cluster import Cluster, Mode
from ..support.programs import Command

ROOT = Path(__file__).parents[2]
START = """
from tests.support.postgres.cluster import Cluster
cluster = Cluster(durable=False)
cluster.start()
print(cluster.folder, flush=True)
input()
"""


def test_databases_are_empty_and_ones_own(cluster: Cluster, url: str) -> None:
    """Each test has a database without tables, which its role owns."""
    owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{url[-17:]}'"
    assert cluster.sql(owner) == "stoat"
    assert cluster.sql("SELECT count(*) FROM pg_stat_user_tables", url[-17:]) == "0"


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


def test_nothing_is_left_of_a_test_that_is_killed() -> None:
    """Its server ends, though nobody closed it, and the server's folder goes."""
    with Command([sys.executable, "-c", START], stdin=-1, cwd=ROOT) as starting:
        folder = Path(starting.read_until("/"))
        assert lifeline.processes_in(folder) != []
        starting.interrupt(signal.SIGKILL)
        starting.process.wait()
        assert lifeline.poll(lambda: not folder.exists(), 60)
        assert lifeline.processes_in(folder) == []
