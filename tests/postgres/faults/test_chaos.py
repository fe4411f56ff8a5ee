"""Everything at once: a ledger outside the database, and all that can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...support.fleet.chaos import one_round
from ...support.postgres.cluster import Cluster


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
async def test_whatever_goes_wrong_every_job_ends_once__faults_43_44_46(
    own_cluster: Cluster, tmp_path: Path, seed: str
) -> None:
    """Every job that was acknowledged has one end, which never changes, and all are told of it.

    `nox -s chaos -- --full` plays twenty such rounds.
    """
    verdict, acts = await one_round(own_cluster, tmp_path, seed)
    assert verdict.faults.lines() == []
    assert verdict.counts["jobs acknowledged"] > 100
    assert sum(acts.values()) > 5
