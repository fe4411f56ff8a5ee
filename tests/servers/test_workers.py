"""Real servers with several workers, each with a queue of its own."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ..support.servers.commands import (
    GUNICORN_WORKERS,
    HERE,
    SERVERS,
    UVICORN_BY_ENVIRONMENT,
    Address,
    Launch,
)
from ..support.servers.logs import Line
from ..support.servers.running import ServerProcess
from ..support.servers.scenarios import SETTINGS


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


def warnings_of(launch: Launch, folder: Path) -> list[Line]:
    """What the processes of a server say of their number when the queue of each has started."""
    with Address() as address, ServerProcess(launch, address, folder) as process:
        for _ in range(launch.processes):
            process.until("worker_started")
        return process.log.find("several_processes")


# granian forks only where multiprocessing does so by default; what is spawned knows only whether
# it is the first.
SPAWNED = multiprocessing.get_all_start_methods()[0] != "fork"
ALL_SERVERS = pytest.mark.parametrize("server", [*SERVERS, *GUNICORN_WORKERS])


@ALL_SERVERS
def test_several_workers_are_warned_of__fault_42(server: str, tmp_path: Path) -> None:
    """Each process of a server with several says so when its queue starts, and what to do."""
    warnings = warnings_of(Launch(server, workers=2, settings=SETTINGS), tmp_path)
    warned = 1 if server == "granian" and SPAWNED else 2
    assert [line["level"] for line in warnings] == ["WARNING"] * warned
    assert len({line["process"] for line in warnings}) == warned
    assert [line["processes"] for line in warnings] == [2] * warned
    assert "run one process" in warnings[0]["remedy"]


@ALL_SERVERS
def test_one_worker_is_not_warned_of__fault_42(server: str, tmp_path: Path) -> None:
    """A server with one process has no warning."""
    assert warnings_of(Launch(server, settings=SETTINGS), tmp_path) == []


def test_workers_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What uvicorn takes from its environment counts like the option."""
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    launch = Launch(UVICORN_BY_ENVIRONMENT, workers=2, settings=SETTINGS)
    assert len(warnings_of(launch, tmp_path)) == 2


def test_workers_that_reload_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn that reloads has one process, whatever the environment says: no false alarm."""
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    launch = Launch(UVICORN_BY_ENVIRONMENT, settings=SETTINGS, options=("--reload",))
    assert warnings_of(launch.reloading(tmp_path), tmp_path) == []


CONFIGURATION = HERE.parents[2] / "examples/how_to/gunicorn.conf.py"


def test_gunicorn_as_the_page_has_it(tmp_path: Path) -> None:
    """With the configuration file of the page on workers there is one process, and no warning."""
    launch = Launch("gunicorn", settings=SETTINGS, options=("--config", str(CONFIGURATION)))
    assert warnings_of(launch, tmp_path) == []


def test_a_worker_that_is_replaced(tmp_path: Path) -> None:
    """gunicorn that replaces a worker stops its queue: jobs are cancelled, and then unknown."""
    launch = Launch("gunicorn", settings=SETTINGS, options=("--max-requests", "3"))
    with Address() as address, ServerProcess(launch, address, tmp_path) as process:
        process.until("worker_started")
        process.connect()
        [job_id] = process.begin("patient")
        process.workers[0].status(job_id)
        process.until("job_cancelled", job_id=job_id, error_type="Shutdown")
        process.until("worker_started")
        process.connect()
        assert process.workers[0].status(job_id)[0] == 404
