"""The picture for the documentation: the processor time of a job, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import equal_features, throughput
from .contenders import Contender
from .measure import PROCESSOR, Figure, Results

_COLOURS = {"floor": "#9aa5b1", "ours": "#b5651d", "peer": "#4a6fa5"}
_PANELS = (
    ("Equal features, record read", equal_features.CONTENDERS),
    ("Floors and libraries as they are", throughput.CONTENDERS),
)


def draw(results: Results, place: dict[str, Any], path: Path) -> None:
    """A panel of bars for each kind of contender that was measured."""
    panels = [(title, _measured(results, contenders)) for title, contenders in _PANELS]
    panels = [(title, names) for title, names in panels if names]
    if not panels:
        return
    matplotlib = import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "stoat-jobs", "svg.fonttype": "none"})
    heights = [len(names) + 2 for _, names in panels]
    figure, rows = import_module("matplotlib.pyplot").subplots(
        len(panels),
        squeeze=False,
        figsize=(9, 0.32 * sum(heights) + 0.4),
        height_ratios=heights,
        layout="constrained",
    )
    figure.suptitle(f"Python {place['python']}, {place['cores']} cores, {place['date'][:10]}")
    for axes, (title, names) in zip(rows[:, 0], panels, strict=True):
        _draw_panel(axes, title, results, names)
    figure.savefig(path, metadata={"Date": None})


def _measured(results: Results, contenders: Sequence[Contender]) -> list[str]:
    """Names, from the costliest to the cheapest: bars are drawn from the bottom."""
    here = [one.name for one in contenders if results.has(Figure(one.name, PROCESSOR))]
    return sorted(here, key=lambda name: results.median(Figure(name, PROCESSOR)))


def _draw_panel(axes: Any, title: str, results: Results, names: list[str]) -> None:
    """Medians, with the lowest and highest round as error bars."""
    rounds = [
        sorted(1e6 / rate for rate in results.values[Figure(name, PROCESSOR)]) for name in names
    ]
    medians = [1e6 / results.median(Figure(name, PROCESSOR)) for name in names]
    below = [median - values[0] for median, values in zip(medians, rounds, strict=True)]
    above = [values[-1] - median for median, values in zip(medians, rounds, strict=True)]
    axes.barh(
        [_label(name) for name in names],
        medians,
        xerr=[below, above],
        color=[_COLOURS[_kind(name)] for name in names],
    )
    if medians[0] > 20 * medians[-1]:
        axes.set_xscale("log")
    axes.margins(y=0.01)
    axes.set_title(title, loc="left", fontsize="medium")
    axes.set_xlabel(
        f"processor time of a job in µs{', logarithmic' * (axes.get_xscale() == 'log')}"
    )
    axes.spines[["top", "right"]].set_visible(False)


def _label(name: str) -> str:
    return f"stoat-jobs, {name}" if _is_from(throughput.OWN, name) else name


def _kind(name: str) -> str:
    if name.startswith(equal_features.OURS) or _is_from(throughput.OWN, name):
        return "ours"
    return "floor" if _is_from(throughput.FLOORS, name) else "peer"


def _is_from(contenders: Sequence[Contender], name: str) -> bool:
    return name in {one.name for one in contenders}
