"""What all tests share."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

LEFT_OUT = pytest.StashKey[int]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what a worker of pytest-xdist leaves out, of which nobody else hears."""
    output = getattr(items[0].config, "workeroutput", {})
    output["left out"] = output.get("left out", 0) + len(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if number := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"LEFT OUT [{number}]: the options leave them to other runs")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured output, which pytest-xdist cannot send on."""
    report = yield
    report.sections = [
        (title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections
    ]
    return report
