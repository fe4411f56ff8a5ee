"""Real servers with two workers, each with a queue of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import SERVERS, Address, Launch
from .running import ServerProcess
from .scenarios import SETTINGS


@pytest.mark.parametrize("server", SERVERS)
def test_id_of_another_worker__fault_42(server: str, tmp_path: Path) -> None:
    """Asked for a job of the other one, a worker says that several processes may be the cause."""
    launch = Launch(server, workers=2, settings=SETTINGS)
    with Address() as address, ServerProcess(launch, address, tmp_path) as process:
        process.serve()
        mine, other = process.workers
        job_id = other.submit("patient")
        assert other.status(job_id)[0] == 200
        code, text = mine.status(job_id)
        assert code == 404
        assert "several server processes" in text
        assert "knows only the jobs of its own process" in text
        process.terminate()
        process.finish()
