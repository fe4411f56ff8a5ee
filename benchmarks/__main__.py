"""Run all benchmarks interleaved, and save one table: ``nox -s bench``.

    nox -s bench -- --aims            only what the aims need, in some minutes
    nox -s bench -- --quick           a few minutes, to check that everything works
    nox -s bench -- --only growth     one subject
    nox -s bench -- --out build/new   the folder for table.txt, results.json and jobs.svg

The tables of the documentation, each on a quiet machine; the first also draws the picture::

    nox -s bench -- --aims --docs
    nox -s bench --force-python 3.13 -- --aims --docs
    SESSION=bench PYTHONS=3.14 .ci/newer_pythons . -- --aims --docs
    nox -s bench -- --only postgres --docs   its own, as postgres-3.11.txt

Peers that need Redis take part if a server answers at BENCH_REDIS_URL, or on this machine. What
needs PostgreSQL takes part if one is installed: a server is started for the run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from . import (
    durable,
    equal_features,
    growth,
    held,
    http_face,
    imports,
    latency,
    memory,
    plot,
    postgres,
    quiet,
    report,
    restart,
    throughput,
    watching,
)
from .aims import needed
from .measure import FULL, JUDGING, QUICK, Bench, Size, run_rounds

SUBJECTS: dict[str, Callable[[Size], list[Bench]]] = {
    "equal_features": equal_features.benches,
    "throughput": throughput.benches,
    "quiet": quiet.benches,
    "latency": latency.benches,
    "memory": memory.benches,
    "held": held.benches,
    "growth": growth.benches,
    "watching": watching.benches,
    "http": http_face.benches,
    "imports": imports.benches,
    "durable": durable.benches,
    "restart": restart.benches,
    "postgres": postgres.benches,
}
_DOCS = Path("docs", "explanation", "benchmarks")
_PICTURED = "3.11"


def main() -> None:
    arguments = _arguments()
    size = _size(arguments)
    place = report.where()
    results = run_rounds(_subjects(arguments, size), size.rounds, _say)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(report.as_json(results, size, place), "utf-8")
    text = report.as_text(results, size, place)
    (arguments.out / "table.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    picture = arguments.out / "jobs.svg"
    plot.draw(results, place, picture)
    if arguments.docs:
        python, _, _ = place["python"].rpartition(".")
        _write_docs(python, text, picture, arguments.only)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--aims", action="store_true", help="only what the aims need")
    parser.add_argument("--quick", action="store_true", help="a short run, too short to judge by")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append", choices=SUBJECTS)
    parser.add_argument("--out", type=Path, default=Path("build", "benchmarks"))
    parser.add_argument("--docs", action="store_true", help="write to the documentation, too")
    arguments = parser.parse_args()
    arguments.only = arguments.only or list(SUBJECTS)
    return arguments


def _size(arguments: argparse.Namespace) -> Size:
    size = JUDGING if arguments.aims else FULL
    size = QUICK if arguments.quick else size
    return replace(size, rounds=arguments.rounds) if arguments.rounds else size


def _subjects(arguments: argparse.Namespace, size: Size) -> Sequence[Sequence[Bench]]:
    subjects = [SUBJECTS[name](size) for name in arguments.only]
    return needed(size, subjects) if arguments.aims else subjects


def _write_docs(python: str, text: str, picture: Path, subjects: Sequence[str]) -> None:
    is_all = set(subjects) == set(SUBJECTS)
    name = "table" if is_all else "-".join(subjects)
    (_DOCS / f"{name}-{python}.txt").write_text(text, encoding="utf-8")
    if is_all and python == _PICTURED:
        (_DOCS / picture.name).write_bytes(picture.read_bytes())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
