"""A fresh environment for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.environments import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A virtual environment with stoat-jobs in it, for distributions of the test's own."""
    return Environment(tmp_path)
