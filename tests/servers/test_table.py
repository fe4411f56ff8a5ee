"""The page on servers says what the other tests here hold the servers to."""

from __future__ import annotations

from ..support.servers.measure import PAGE, read, rows, without_seconds
from ..support.servers.scenarios import ALL


def test_table_is_true() -> None:
    """The documented exit codes and ends of jobs are those that are tested, and all of them."""
    documented = read(PAGE.read_text(encoding="utf-8"))
    expected = rows((scenario, None) for scenario in ALL)
    assert without_seconds(documented) == without_seconds(expected)
