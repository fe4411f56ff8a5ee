"""Real servers with handlers that do not stop when they are told to."""

from __future__ import annotations

from pathlib import Path

from ..support.servers import scenarios
from ..support.servers.runs import carry_out, check
from ..support.servers.scenarios import Scenario, each


@each(scenarios.STUCK)
def test_ten_threads_in_a_system_call(scenario: Scenario, tmp_path: Path) -> None:
    """Sync handlers that never return keep no process from its end."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.DEAF)
def test_swallowed_cancel(scenario: Scenario, tmp_path: Path) -> None:
    """A handler that swallows every cancel is closed, and the process ends."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.OBSTINATE)
def test_swallowed_generator_exit(scenario: Scenario, tmp_path: Path) -> None:
    """The log names what may hold up the exit; the queue itself stops all the same."""
    run = carry_out(scenario, tmp_path)
    check(run)
    (line,) = run.log.find("handler_unstoppable")
    assert line["job_type"] == "obstinate"
    assert run.log.has("worker_stopped")
