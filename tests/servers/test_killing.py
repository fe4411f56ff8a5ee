"""Real servers that get no chance to shut down, or that reload."""

from __future__ import annotations

from pathlib import Path

from ..support.servers import scenarios
from ..support.servers.commands import Address
from ..support.servers.running import ServerProcess
from ..support.servers.runs import carry_out, check
from ..support.servers.scenarios import Scenario, each


@each(scenarios.KILLED)
def test_restart_after_a_kill__fault_24(scenario: Scenario, tmp_path: Path) -> None:
    """What starts after SIGKILL starts clean: the old ids are unknown, and new jobs run."""
    with Address() as address:
        killed = carry_out(scenario, tmp_path, address)
        check(killed)
        with ServerProcess(scenario.launch, address, tmp_path) as server:
            server.serve()
            (worker,) = server.workers
            for line in killed.log.find("job_submitted"):
                code, text = worker.status(line["job_id"])
                assert (code, text.startswith("no job")) == (404, True)
            job_id = worker.submit("quick")
            server.until("job_completed", job_id=job_id)
            server.terminate()
            server.finish()
            assert server.complaints == ""


@each(scenarios.WORKER_KILLED)
def test_kill_of_one_worker(scenario: Scenario, tmp_path: Path) -> None:
    """Its jobs are gone; what becomes of the other worker is up to the server."""
    run = carry_out(scenario, tmp_path)
    check(run)
    started = len(run.log.find("worker_started"))
    stopped = len(run.log.find("worker_stopped"))
    if scenario.launch.server == "uvicorn":
        assert (started, stopped) == (3, 2), "another took its place, and two stopped well"
    if scenario.launch.server == "granian":
        assert (started, stopped) == (2, 1), "the other one stopped well"
    if scenario.launch.server == "hypercorn":
        assert started == 2, "the other one was killed too"


@each(scenarios.RELOADED)
def test_reload__fault_24(scenario: Scenario, tmp_path: Path) -> None:
    """The old worker's jobs are settled before the new worker starts, and that one serves."""
    run = carry_out(scenario, tmp_path)
    check(run)
    old, new = run.log.find("worker_started")
    assert old["process"] != new["process"]
    *_, last = run.log.find("job_cancelled")
    assert run.log.lines.index(last) < run.log.lines.index(new)
    assert run.log.has("job_completed", job_type="quick", process=new["process"])
