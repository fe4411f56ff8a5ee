"""The table of the runs in the documentation: read, and written anew when all were measured.

Fails, and writes nothing, if a run went wrong or a queue took longer to stop than it may.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from itertools import groupby
from pathlib import Path

from .runs import Run, carry_out, check
from .scenarios import ALL, SETTINGS, Scenario

_PACKAGES = ("uvicorn", "hypercorn", "granian", "uvloop")

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "servers.md"
BEGIN, END = "<!-- begin of the runs -->\n", "<!-- end of the runs -->\n"

_HEAD = ("what was done", "server", "workers", "loop", "exit code", "seconds", "jobs")
_SIGNALS = {-15: "143 (SIGTERM)", -9: "137 (SIGKILL)"}

Row = tuple[str, ...]
Timed = tuple[Scenario, float | None]


def rows(timed: Iterable[Timed]) -> list[Row]:
    """One for each group of runs that differ in their event loop alone."""
    return [_row(list(group)) for _, group in groupby(timed, key=lambda pair: _what(pair[0]))]


def without_seconds(found: Iterable[Row]) -> list[Row]:
    return [(*row[:5], *row[6:]) for row in found]


def render(found: Iterable[Row]) -> str:
    lines = [_HEAD, ("---",) * len(_HEAD), *found]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(page: str) -> list[Row]:
    """The rows that a page has."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [tuple(line.strip("| ").split(" | ")) for line in lines[2:]]


def replace(page: str, text: str) -> str:
    """*page* with *text* between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{text}\n{end}{after}"


def _what(scenario: Scenario) -> Row:
    launch = scenario.launch
    return (
        scenario.name,
        launch.server,
        str(launch.workers),
        " or ".join(_SIGNALS.get(code, str(code)) for code in scenario.codes),
        "; ".join(_end(end, job_types.split()) for end, job_types in scenario.jobs.items()),
    )


def _row(group: Sequence[Timed]) -> Row:
    name, server, workers, code, jobs = _what(group[0][0])
    loops = ", ".join(scenario.launch.loop for scenario, _ in group)
    seconds = ", ".join("–" if time is None else f"{time:.1f}" for _, time in group)
    return (name, server, workers, loops, code, seconds, jobs or "–")


def _end(end: str, job_types: Sequence[str]) -> str:
    names = [f"{n} {name}" if n > 1 else name for name, n in _counted(job_types)]
    return f"{', '.join(names)}: {end}"


def _counted(job_types: Sequence[str]) -> list[tuple[str, int]]:
    return [(name, job_types.count(name)) for name in dict.fromkeys(job_types)]


# Measuring.


def main() -> int:
    runs = [_measure(scenario) for scenario in ALL]
    late = [run for run in runs if max(run.log.stop_times(), default=0.0) > _bound(run)]
    if late:
        print("took too long to stop:", *(f"{n.scenario.id} {n.scenario.name}" for n in late))
        return 1
    found = rows((run.scenario, run.seconds) for run in runs)
    page = PAGE.read_text(encoding="utf-8")
    text = f"{_circumstances(runs)}\n\n{render(found)}"
    PAGE.write_text(replace(page, text), encoding="utf-8")
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
