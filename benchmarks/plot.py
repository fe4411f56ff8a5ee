"""The plot for the documentation: jobs per second of all contenders."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from . import throughput
from .measure import CLOCK, Figure, Results

_COLOURS = {"floor": "#9aa5b1", "ours": "#b5651d", "peer": "#4a6fa5"}


def draw(results: Results, place: dict[str, Any], path: Path) -> None:
    """Bars with the lowest and highest round as error bars, on a logarithmic scale."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "stoat-jobs", "svg.fonttype": "none"})
    names = _by_rate(results)
    figure, axes = import_module("matplotlib.pyplot").subplots(
        figsize=(9, 0.32 * len(names) + 1.2), layout="constrained"
    )
    medians = [results.median(Figure(name, CLOCK)) for name in names]
    axes.barh(
        [_label(name) for name in names],
        medians,
        xerr=_spread(results, names, medians),
        color=[_colour(name) for name in names],
    )
    axes.set_xscale("log")
    axes.set_xlabel("jobs a second, from submit to the terminal record (logarithmic)")
    axes.set_title(f"Python {place['python']}, {place['cores']} cores, {place['date'][:10]}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _by_rate(results: Results) -> list[str]:
    here = [one.name for one in throughput.CONTENDERS if results.has(Figure(one.name, CLOCK))]
    return sorted(here, key=lambda name: results.median(Figure(name, CLOCK)))


def _spread(results: Results, names: list[str], medians: list[float]) -> list[list[float]]:
    rounds = [results.values[Figure(name, CLOCK)] for name in names]
    below = [median - min(values) for median, values in zip(medians, rounds, strict=True)]
    above = [max(values) - median for median, values in zip(medians, rounds, strict=True)]
    return [below, above]


def _label(name: str) -> str:
    return f"stoat-jobs, {name}" if _is_ours(name) else name


def _colour(name: str) -> str:
    if _is_ours(name):
        return _COLOURS["ours"]
    return _COLOURS["floor" if name.startswith("floor") else "peer"]


def _is_ours(name: str) -> bool:
    return name in {one.name for one in throughput.OWN}
