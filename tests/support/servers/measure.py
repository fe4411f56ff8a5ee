"""Run every scenario, one after another, and write the table of the documentation.

Fails, and writes nothing, if a run went wrong or a queue took longer to stop than it may.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from . import table
from .runs import Run, carry_out, check
from .scenarios import ALL, SETTINGS, Scenario

_PACKAGES = ("uvicorn", "hypercorn", "granian", "uvloop")


def main() -> int:
    runs = [_measure(scenario) for scenario in ALL]
    late = [run for run in runs if max(run.log.stop_times(), default=0.0) > _bound(run)]
    if late:
        print("took too long to stop:", *(f"{n.scenario.id} {n.scenario.name}" for n in late))
        return 1
    rows = table.rows((run.scenario, run.seconds) for run in runs)
    page = table.PAGE.read_text(encoding="utf-8")
    text = f"{_circumstances(runs)}\n\n{table.render(rows)}"
    table.PAGE.write_text(table.replace(page, text), encoding="utf-8")
    return 0


def _measure(scenario: Scenario) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        run = carry_out(scenario, Path(folder))
    check(run)
    print(f"{scenario.id:20} {run.seconds or 0:4.1f} s  {scenario.name}", flush=True)
    return run


def _bound(run: Run) -> float:
    """Seconds within which a queue promises to stop."""
    settings = run.scenario.launch.settings
    return float(settings["drain_timeout"] + 2 * settings["cancel_grace"] + 1)


def _circumstances(runs: list[Run]) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    alike = [run for run in runs if run.scenario.launch.settings == SETTINGS]
    slowest = max(time for run in alike for time in run.log.stop_times())
    return (
        f"Measured with {versions}, Python {platform.python_version()}.\n"
        f"The slowest stop of a queue took {slowest:.1f} s of {_bound(alike[0]):.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
