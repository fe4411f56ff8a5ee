"""The page on servers says what the other tests here hold the servers to."""

from __future__ import annotations

from ..support.servers import table
from ..support.servers.scenarios import ALL


def test_table_is_true() -> None:
    """The documented exit codes and ends of jobs are those that are tested, and all of them."""
    documented = table.read(table.PAGE.read_text(encoding="utf-8"))
    expected = table.rows((scenario, None) for scenario in ALL)
    assert table.without_seconds(documented) == table.without_seconds(expected)
