"""Processes that share a queue on a database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...support.fleet.fleet import Fleet


@pytest.fixture
def fleet(url: str, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(url, tmp_path) as fleet:
        yield fleet
        fleet.show()
        assert fleet.gone == []
