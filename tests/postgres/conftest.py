"""A server for the tests of this folder; without its programs they are skipped by name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ..support.postgres import installing
from ..support.postgres.cluster import Cluster
from ..support.postgres.pooler import Pooler
from ..support.postgres.standby import Standby


@pytest.fixture(scope="session")
def services() -> None:
    """That there are servers to start; on a build server it is a failure if there are none."""
    if packages := installing.missing():
        leave = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        leave(f"no PostgreSQL server: install Debian's {' and '.join(packages)}")


@pytest.fixture(scope="session")
def cluster(services: None) -> Iterator[Cluster]:
    """A running server for tests that leave it as it is; it does not survive a power cut."""
    with Cluster(durable=False) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def own_cluster(services: None) -> Iterator[Cluster]:
    """A running server that is this test's, to stop and to kill."""
    with Cluster() as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """An empty database that is this test's."""
    url = cluster.new_database()
    yield url
    cluster.drop_database(url)


@pytest.fixture(scope="session")
def pooler(cluster: Cluster) -> Iterator[Pooler]:
    """PgBouncer before the server: ``pooler.url(url)``."""
    with Pooler(cluster) as pooler:
        pooler.start()
        yield pooler


@pytest.fixture
def standby(own_cluster: Cluster) -> Iterator[Standby]:
    """A standby of the test's own server."""
    with Standby(own_cluster) as standby:
        standby.start()
        yield standby
