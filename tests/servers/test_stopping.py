"""Real servers that are told to stop in the middle of their jobs."""

from __future__ import annotations

from pathlib import Path

from ..support.servers import scenarios
from ..support.servers.runs import carry_out, check
from ..support.servers.scenarios import Scenario, each


@each(scenarios.TERMINATED)
def test_sigterm__fault_20(scenario: Scenario, tmp_path: Path) -> None:
    """Every job ends, and the log says how: those that listen, sync ones, and those that do not."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.TERMINATED_ALL)
def test_sigterm_for_all_processes(scenario: Scenario, tmp_path: Path) -> None:
    """Nor does it hurt that each process gets the signal, where workers listen to it."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.INTERRUPTED)
def test_sigint(scenario: Scenario, tmp_path: Path) -> None:
    """Ctrl-C, which all processes of a terminal get, does the same."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.INTERRUPTED_TWICE)
def test_sigint_during_the_drain(scenario: Scenario, tmp_path: Path) -> None:
    """An impatient second Ctrl-C takes nothing from the jobs once they are told to stop."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.FORCED)
def test_forced_stop(scenario: Scenario, tmp_path: Path) -> None:
    """A second Ctrl-C that skips the app's shutdown settles every job and starts none."""
    run = carry_out(scenario, tmp_path)
    check(run)
    assert len(run.log.find("job_started", job_type="quick")) == 1


@each(scenarios.OPEN_REQUEST)
def test_open_request(scenario: Scenario, tmp_path: Path) -> None:
    """A client that waits for a job holds the end up no longer than the server's option says."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.LESS_TIME)
def test_less_time_than_the_drain__fault_26(scenario: Scenario, tmp_path: Path) -> None:
    """Every job is settled though the server cancels the shutdown; only a kill loses them."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.TERMINATED_WITHOUT_QUEUE)
def test_sigterm_without_a_queue(scenario: Scenario, tmp_path: Path) -> None:
    """The queue does not change the exit code after SIGTERM: without one, it is the same."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.INTERRUPTED_WITHOUT_QUEUE)
def test_sigint_without_a_queue(scenario: Scenario, tmp_path: Path) -> None:
    """The queue does not change the exit code after Ctrl-C: without one, it is the same."""
    check(carry_out(scenario, tmp_path))
