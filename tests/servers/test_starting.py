"""Real servers whose app cannot start."""

from __future__ import annotations

from pathlib import Path

from ..support.servers import scenarios
from ..support.servers.runs import carry_out, check
from ..support.servers.scenarios import Scenario, each


@each(scenarios.NOT_INSTALLED)
def test_unknown_backend(scenario: Scenario, tmp_path: Path) -> None:
    """The server ends by itself, and prints which backend is missing and which are there."""
    check(carry_out(scenario, tmp_path))


@each(scenarios.UNREACHABLE)
def test_backend_that_cannot_start(scenario: Scenario, tmp_path: Path) -> None:
    """The server ends by itself, and prints which backend it was and why."""
    check(carry_out(scenario, tmp_path))
