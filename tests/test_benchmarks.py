"""The benchmarks judge what they measured, and measure what they judge."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks import __main__ as command
from benchmarks import aims, contenders, equal_features, postgres, postgres_queues, report
from benchmarks.aims import Aim, judge
from benchmarks.contenders import Contender
from benchmarks.measure import (
    FULL,
    JUDGING,
    PROCESSOR,
    QUICK,
    Bench,
    Figure,
    Results,
    Size,
    Stopwatch,
    WrongCountError,
    require,
    run_rounds,
)
from benchmarks.ours import FIELDS

from .support.programs import run_python, unmeasured

ROOT = Path(__file__).parents[1]
NEEDS_SERVER = pytest.mark.skipif(
    bool(postgres.absence(postgres_queues.OURS)), reason="no PostgreSQL server, or driver"
)
OURS, SLOW_PEER, BEST_PEER = (Figure(name, "jobs/s") for name in ("ours", "slow", "best"))
# Every aim with the smallest numbers; a process of its own has no log handlers of pytest's.
MEASURE = """
import json
import sys
from benchmarks import aims, report
from benchmarks.__main__ import SUBJECTS
from benchmarks.measure import Size, run_rounds

size = Size(rounds=1, jobs=100, samples=50, waiting=100, watchers=10, streams=10, records=1_000,
            pending=(10, 100), kept=(10, 100))
subjects = aims.needed(size, [SUBJECTS[name](size) for name in sys.argv[1:]])
results = run_rounds(subjects, 1, lambda line: None)
here = {name for benches in subjects for bench in benches for name in bench.names}
expected = [aim.what for aim in aims.aims(size) if aim.over.name in here
            and (not aim.under or here & {figure.name for figure in aim.under})]
judged = [verdict.what for verdict in aims.judge_all(size, results)]
table = report.as_text(results, size, report.where())
print(json.dumps({"expected": expected, "judged": judged, "table": table}))
"""


def measured(values: dict[Figure, Sequence[float]]) -> Results:
    results = Results()
    for figure, found in values.items():
        for value in found:
            results.add({figure: value})
    return results


def quietly(line: str) -> None:
    """Say nothing of the rounds."""


@pytest.mark.parametrize(
    ("limit", "at_least", "met"),
    [(2.0, True, True), (2.1, True, False), (2.0, False, True), (1.9, False, False)],
)
def test_the_median_of_the_ratios_decides(*, limit: float, at_least: bool, met: bool) -> None:
    """An aim is met if the median of the rounds' ratios keeps to its limit, in its direction."""
    results = measured({OURS: [2, 80, 6], SLOW_PEER: [2, 2, 3]})
    verdict = judge(Aim("", OURS, [SLOW_PEER], limit, at_least), results)
    assert verdict is not None
    assert (verdict.values, verdict.met) == ([1, 40, 2], met)


def test_the_best_of_several_peers_counts() -> None:
    """We are compared with the peer whose median is the highest."""
    results = measured({OURS: [8, 8, 8], SLOW_PEER: [2, 2, 99], BEST_PEER: [4, 4, 4]})
    verdict = judge(Aim("", OURS, [SLOW_PEER, BEST_PEER], 1), results)
    assert verdict is not None
    assert verdict.values == [2, 2, 2]


def test_a_figure_without_a_limit_is_told() -> None:
    """Information is in the table, neither met nor missed."""
    verdict = judge(Aim("", OURS), measured({OURS: [1]}))
    assert verdict is not None
    assert (verdict.values, verdict.aim, verdict.met) == ([1], "", None)


@pytest.mark.parametrize("values", [{SLOW_PEER: [1]}, {OURS: [1]}, {}], ids=str)
def test_what_was_not_measured_is_not_judged(values: dict[Figure, Sequence[float]]) -> None:
    """There is no verdict without our figure, or without any peer's."""
    assert judge(Aim("", OURS, [SLOW_PEER, BEST_PEER], 1), measured(values)) is None


def test_a_wrong_count_ends_the_run() -> None:
    """No time is told of work that was not done."""

    async def loses_one(jobs: int, watch: Stopwatch) -> int:
        with watch:
            return jobs - 1

    benches = contenders.benches([Contender("loser", loses_one, "loser")], QUICK)
    with pytest.raises(WrongCountError, match="jobs of loser: 99, expected 100"):
        run_rounds([benches], 1, quietly)


def test_a_figure_under_another_name_ends_the_run() -> None:
    """A benchmark makes the figures that it names, by which it is chosen for an aim."""
    with pytest.raises(WrongCountError, match="figures: {'ours'}, expected {'other'}"):
        run_rounds([[Bench(("other",), lambda: {OURS: 1.0})]], 1, quietly)


def test_each_benchmark_runs_once_in_a_round() -> None:
    """As many values as rounds, of every benchmark of every subject."""
    counts = {OURS: 0.0, SLOW_PEER: 0.0}

    def bench(figure: Figure) -> Bench:
        def run() -> dict[Figure, float]:
            counts[figure] += 1
            return {figure: counts[figure]}

        return Bench((figure.name,), run)

    results = run_rounds([[bench(OURS)], [bench(SLOW_PEER)]], 3, quietly)
    assert results.values == {OURS: [1, 2, 3], SLOW_PEER: [1, 2, 3]}


@pytest.mark.parametrize("size", [FULL, JUDGING, QUICK], ids=["full", "judging", "quick"])
def test_what_the_aims_need_is_measured(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--aims`` runs the benchmark of every figure that an aim names, and no other."""
    monkeypatch.setattr(contenders, "_absence", lambda one: None)
    monkeypatch.setattr(postgres, "absence", lambda queue: None)
    subjects = [benches(size) for benches in command.SUBJECTS.values()]
    chosen = [bench.names for benches in aims.needed(size, subjects) for bench in benches]
    made = {name for names in chosen for name in names}
    wanted = {figure.name for aim in aims.aims(size) for figure in (aim.over, *aim.under)}
    assert wanted - made == set()
    assert [names for names in chosen if not wanted & {*names}] == []
    assert len(chosen) < sum(map(len, subjects))


@pytest.mark.parametrize(
    ("names", "least"),
    [
        pytest.param([name for name in command.SUBJECTS if name != "postgres"], 20, id="others"),
        pytest.param(["postgres"], 10, marks=[pytest.mark.slow, NEEDS_SERVER], id="postgres"),
    ],
)
def test_every_aim_is_judged(names: list[str], least: int) -> None:
    """A run of ``--aims`` has a verdict on each aim, and a row in its table."""
    done = run_python("-c", MEASURE, *names, cwd=ROOT, env=unmeasured())
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told["expected"]) > least
    assert told["judged"] == told["expected"]
    assert [what for what in told["judged"] if what not in told["table"]] == []


def test_queues_on_one_server_share_a_row() -> None:
    """What was measured of several queues on a server is in one row, with a column for each."""
    ours, theirs = (Figure(f"{name}: sleeps", "ms") for name in ("postgres", "PgQueuer"))
    text = report.as_text(measured({ours: [2], theirs: [7]}), QUICK, report.where())
    (row,) = [line.split("  ") for line in text.splitlines() if "sleeps" in line]
    assert [cell.strip() for cell in row if cell.strip()] == [
        "sleeps", "2 (2 to 2)", "7 (7 to 7)", "ms"
    ]  # fmt: skip


def test_judging_takes_nine_rounds() -> None:
    """A median of fewer rounds is no verdict."""
    assert JUDGING.rounds >= 9
    assert FULL.rounds >= 9


@pytest.mark.parametrize(
    ("python", "only", "written"),
    [
        ("3.11", list(command.SUBJECTS), {"table-3.11.txt", "jobs.svg"}),
        ("3.14", list(command.SUBJECTS), {"table-3.14.txt"}),
        ("3.11", ["postgres"], {"postgres-3.11.txt"}),
    ],
)
def test_docs_get_a_table_for_each_python_and_one_picture(
    python: str,
    only: list[str],
    written: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``--docs`` replaces the table of the Python that runs, and only the oldest the picture.

    A run of some subjects has a table of its own.
    """
    (picture := tmp_path / "jobs.svg").write_text("bars")
    (docs := tmp_path / "docs").mkdir()
    monkeypatch.setattr(command, "_DOCS", docs)
    command._write_docs(python, "rows", picture, only)
    assert {path.name for path in docs.iterdir()} == written


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """Nothing stays frozen after a run, even one that a wrong count ended."""
    before = gc.get_freeze_count()
    with pytest.raises(WrongCountError):
        run_rounds([[Bench(("ours",), dict)]], 1, quietly)
    assert gc.get_freeze_count() == before


async def _fails() -> None:
    raise ValueError("no such file")


async def _is_slow() -> None:
    await asyncio.Event().wait()


async def _returns() -> str:
    return "done"


@pytest.mark.parametrize(
    ("handler", "ended"),
    [
        (_returns, {"status": "completed", "result": "done", "error": None}),
        (_fails, {"status": "failed", "result": None, "error": "ValueError: no such file"}),
        (_is_slow, {"status": "timeout", "result": None, "error": None}),
    ],
)
async def test_what_is_added_to_others_does_its_work(
    handler: Any, ended: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gives others our features has a result, an error, a time limit and all times."""
    if handler is _is_slow:
        monkeypatch.setattr(equal_features, "TIMEOUT", 0)
    jobs = equal_features.Jobs()
    job = jobs.add()
    assert jobs.read(job["job_id"]).status == "pending"
    await jobs.run(job, handler)
    record = jobs.read(job["job_id"])
    assert record.model_dump(include={*ended}) == ended
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.submitted_at <= record.started_at <= record.finished_at


async def test_what_is_added_to_others_keeps_some_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest finished records of the others are dropped, as ours are."""
    monkeypatch.setattr(equal_features, "_MOST_RECORDS", 2)
    jobs, added = equal_features.Jobs(), []
    for _ in range(3):
        added.append(jobs.add())
        await jobs.run(added[-1], _returns)
    with pytest.raises(KeyError):
        jobs.read(added[0]["job_id"])
    assert [jobs.read(job["job_id"]).status for job in added[1:]] == ["completed"] * 2


@pytest.mark.parametrize("payload", [False, True])
@pytest.mark.parametrize("run", ["ours", "create_task"])
async def test_all_records_of_equal_features_are_right(run: str, *, payload: bool) -> None:
    """Every job counts whose record says completed, with its result and its times."""
    ended = await getattr(equal_features, run)(150, Stopwatch(), payload=payload)
    require(ended, 150, "jobs")


@pytest.mark.parametrize(
    "wrong", [{"status": "failed"}, {"result": 4}, {"started_at": None}], ids=str
)
async def test_a_record_that_is_wrong_does_not_count(wrong: dict[str, Any]) -> None:
    """A contender with a wrong status, result or time has done less, and ends the run."""
    jobs = equal_features.Jobs()
    job = jobs.add()
    await jobs.run(job, equal_features._three_fields, equal_features.Payload.model_validate(FIELDS))
    record = jobs.read(job["job_id"])
    assert equal_features._is_right(record, payload=True)
    assert not equal_features._is_right(record.model_copy(update=wrong), payload=True)


def test_throughput_is_judged_by_processor_time() -> None:
    """Other processes hardly change a verdict on rates."""
    (equal, *_) = aims.aims(FULL)
    assert {equal.over.unit, *(figure.unit for figure in equal.under)} == {PROCESSOR}
