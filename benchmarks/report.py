"""The report, as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import durable, equal_features, postgres, throughput
from .aims import Verdict, judge_all
from .contenders import Contender, left_out
from .measure import CLOCK, PROCESSOR, Figure, Results, Size
from .postgres_queues import QUEUES

_PACKAGES = (
    "stoat-jobs", "pydantic", "aiojobs", "taskiq", "apscheduler", "huey", "litequeue", "dramatiq",
    "starlette", "saq", "arq", "streaq", "pgqueuer", "asyncpg", "procrastinate", "psycopg",
)  # fmt: skip

_CONTENDERS = (*equal_features.CONTENDERS, *throughput.CONTENDERS, *durable.CONTENDERS)
_WORDS = {True: "met", False: "MISSED", None: ""}


def where() -> dict[str, Any]:
    """The machine and the installed packages."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_text(results: Results, size: Size, place: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in place["versions"].items())
    machine = f"{place['system']}, {place['cores']} cores, load {place['load']} at the start"
    rounds = f"{size.rounds} interleaved rounds of {size.jobs:,} jobs, fewer of slow ones"
    parts = [
        f"Python {place['python']}, {machine}, {place['date']}",
        f"{versions}\n",
        f"{rounds}; median (lowest to highest)",
        "throughput is judged by processor time; the calls' p50 by the clock\n",
        _table(
            ("submit to record, read by id", "cpu, µs a job", "cost over ours, cpu"),
            _equal_rows(results),
        ),
        _table(("aim", "found", "aimed at", ""), _aim_rows(judge_all(size, results))),
        _table(
            ("submit to record or status, read by id", "jobs/s", "cpu, µs a job",
             "rate over floor C, cpu", "rate over floor C, clock"),
            _rate_rows(results),
        ),
        _table(
            ("submit, not run", "submits/s", "cpu, µs a job", "rate over SqliteHuey, clock"),
            _durable_rows(results),
        ),
        _table(
            ("on one PostgreSQL server", *(queue.name for queue in QUEUES), "unit"),
            _postgres_rows(results),
        ),
        _table(("also", "", "unit"), _other_rows(results)),
        *(f"left out: {line}" for line in _left_out()),
    ]  # fmt: skip
    return "\n".join(filter(None, parts)).rstrip("\n") + "\n"


def _aim_rows(verdicts: Iterable[Verdict]) -> list[list[str]]:
    return [[one.what, _spread(one.values), one.aim, _WORDS[one.met]] for one in verdicts]


def _equal_rows(results: Results) -> list[list[str]]:
    return [
        [
            one.name,
            _microseconds(results, one),
            _spread(results.ratios(Figure(one.against, PROCESSOR), Figure(one.name, PROCESSOR))),
        ]
        for one in equal_features.CONTENDERS
        if results.has(Figure(one.name, PROCESSOR))
    ]


def _rate_rows(results: Results) -> list[list[str]]:
    return [
        [
            one.name,
            _spread(results.values[Figure(one.name, CLOCK)]),
            _microseconds(results, one),
            *(_spread(_over_floor(results, one, unit)) for unit in (PROCESSOR, CLOCK)),
        ]
        for one in throughput.CONTENDERS
        if results.has(Figure(one.name, CLOCK))
    ]


def _durable_rows(results: Results) -> list[list[str]]:
    return [
        [
            one.name,
            _spread(results.values[Figure(one.name, CLOCK)]),
            _microseconds(results, one),
            _spread(_over_floor(results, one, CLOCK))
            if results.has(Figure(one.against, CLOCK))
            else "",
        ]
        for one in durable.CONTENDERS
        if results.has(Figure(one.name, CLOCK))
    ]


def _left_out() -> list[str]:
    return [*left_out(_CONTENDERS), *postgres.left_out()]


def _postgres_rows(results: Results) -> list[list[str]]:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for figure, values in results.values.items():
        queue, measure = postgres.parts(figure)
        if measure:
            rows.setdefault((measure, figure.unit), {})[queue] = _spread(values)
    return [
        [measure, *(row.get(queue.name, "") for queue in QUEUES), unit]
        for (measure, unit), row in sorted(rows.items())
    ]


def _microseconds(results: Results, one: Contender) -> str:
    return f"{1e6 / results.median(Figure(one.name, PROCESSOR)):.1f}"


def _over_floor(results: Results, one: Contender, unit: str) -> list[float]:
    return results.ratios(Figure(one.name, unit), Figure(one.against, unit))


def _other_rows(results: Results) -> list[list[str]]:
    contenders = {one.name for one in _CONTENDERS}
    return [
        [figure.name, _spread(values), figure.unit]
        for figure, values in sorted(results.values.items(), key=lambda item: _natural(item[0]))
        if figure.name not in contenders and not postgres.parts(figure)[1]
    ]


def _natural(figure: Figure) -> tuple[str, list[int], str]:
    digits = "".join(c if c.isdigit() else " " for c in figure.name.replace(",", "")).split()
    letters = "".join(c for c in figure.name if not c.isdigit() and c != ",")
    return letters, [int(number) for number in digits], figure.unit


def _spread(values: Sequence[float]) -> str:
    low, high = _number(min(values)), _number(max(values))
    return f"{_number(statistics.median(values))} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    ruled = [heads, ["-" * width for width in widths], *rows]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in ruled)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_json(results: Results, size: Size, place: dict[str, Any]) -> str:
    """All values of all rounds."""
    return json.dumps(
        {
            **place,
            "rounds": size.rounds,
            "aims": [
                {"aim": one.what, "values": one.values, "aimed_at": one.aim, "met": one.met}
                for one in judge_all(size, results)
            ],
            "figures": [
                {"name": figure.name, "unit": figure.unit, "values": values}
                for figure, values in results.values.items()
            ],
            "left_out": _left_out(),
        },
        indent=1,
    )
