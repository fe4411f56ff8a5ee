"""Run all benchmarks interleaved, and save one table: ``nox -s bench``.

    nox -s bench -- --quick           a minute, to check that everything works
    nox -s bench -- --only growth     one subject
    nox -s bench -- --out docs/bench  the folder for table.txt, results.json and jobs.svg

Peers that need Redis take part if a server answers at BENCH_REDIS_URL, or on this machine.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from . import growth, http_face, imports, latency, memory, plot, quiet, report, throughput, watching
from .measure import FULL, QUICK, Bench, Size, run_rounds

_SUBJECTS = {
    "throughput": throughput.benches,
    "quiet": quiet.benches,
    "latency": latency.benches,
    "memory": memory.benches,
    "growth": growth.benches,
    "watching": watching.benches,
    "http": http_face.benches,
    "imports": imports.benches,
}


def main() -> None:
    arguments = _arguments()
    size = _size(arguments)
    place = report.where()
    results = run_rounds(_benches(arguments.only, size), size.rounds, _say)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(report.as_json(results, size, place), "utf-8")
    text = report.as_text(results, size, place)
    (arguments.out / "table.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    if "throughput" in arguments.only:
        plot.draw(results, place, arguments.out / "jobs.svg")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, too short to judge by")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append", choices=_SUBJECTS)
    parser.add_argument("--out", type=Path, default=Path("build", "benchmarks"))
    arguments = parser.parse_args()
    arguments.only = arguments.only or list(_SUBJECTS)
    return arguments


def _size(arguments: argparse.Namespace) -> Size:
    size = QUICK if arguments.quick else FULL
    return replace(size, rounds=arguments.rounds) if arguments.rounds else size


def _benches(subjects: list[str], size: Size) -> list[Bench]:
    return [bench for name in subjects for bench in _SUBJECTS[name](size)]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
