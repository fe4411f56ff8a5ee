"""A test for each of several scenarios."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from .scenarios import Scenario


def each(scenarios: Iterable[Scenario]) -> pytest.MarkDecorator:
    """Run the test for each of them, named after the server, its workers and its loop."""
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda scenario: scenario.id)
